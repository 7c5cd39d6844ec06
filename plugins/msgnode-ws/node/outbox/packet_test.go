package outbox

import "testing"

// What waits for many is kept once: a publication to all of them is not taken for as many messages.
func TestSharedPacketsCountOnce(t *testing.T) {
	m := &Memory{}
	p := m.Share(make([]byte, 1000), 3)
	if m.Kept() != 1000 {
		t.Error(m.Kept())
	}
	m.Release(p)
	m.Release(p)
	if m.Kept() != 1000 {
		t.Error(m.Kept())
	}
	m.Release(p)
	if m.Kept() != 0 {
		t.Error(m.Kept())
	}
}
