package handshake

import "testing"

// A process that drops a session stays the same life, and is another incarnation; after a loss it looks like another life.
func TestIncarnations(t *testing.T) {
	seen := map[uint64]bool{}
	for range 100 {
		one := NewIncarnation()
		dropped, lost := AfterDrop(one), AfterLoss(one)
		if uint32(one) == 0 || uint32(lost) == 0 {
			t.Fatalf("a life is 0: %x, %x", one, lost)
		}
		if !SameLife(one, dropped) || SameLife(one, lost) || dropped == one || lost>>32 != one>>32+1&0xffffffff {
			t.Errorf("%x: after a drop %x, after a loss %x", one, dropped, lost)
		}
		if seen[one] {
			t.Errorf("%x twice", one)
		}
		seen[one] = true
	}
}
