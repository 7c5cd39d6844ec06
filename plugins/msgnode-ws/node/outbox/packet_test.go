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

// A packet that waits for one connection counts while it is kept; a shared one counts already.
func TestKeptPacketsCount(t *testing.T) {
	m := &Memory{}
	alone, shared := Packet{Data: make([]byte, 10)}, m.Share(make([]byte, 1000), 2)
	m.Keep(alone)
	m.Keep(shared)
	if n := m.Kept(); n != 1010 {
		t.Errorf("%d bytes are kept, want 1010", n)
	}
	m.Release(alone, shared, shared)
	if n := m.Kept(); n != 0 {
		t.Errorf("%d bytes are kept when nothing is", n)
	}
}
