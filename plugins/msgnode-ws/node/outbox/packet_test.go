package outbox

import "testing"

// A packet for many connections is counted once, not once for each.
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

// Keep counts a packet that waits for one connection, until it is released; a shared one has been counted by Share.
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
