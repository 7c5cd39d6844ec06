package session

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestRing compares the ring with a list.
func TestRing(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r, cost := newRing(), 0
		var list [][]byte // the messages from r.base on
		for range 300 {
			switch rnd.IntN(4) {
			case 0, 1:
				m := make([]byte, 1+rnd.IntN(300))
				if rnd.IntN(40) == 0 {
					m = make([]byte, rnd.IntN(20000)+1)
				}
				for i := range m {
					m[i] = byte(rnd.Uint32())
				}
				before := r.cost()
				r.push(m, 0)
				if got, want := r.cost()-before, costOf(uint64(wireSize(len(m))), 1); got != want {
					t.Fatalf("seed %d: a message of %d bytes cost %d, foretold were %d", seed, len(m), got, want)
				}
				list, cost = append(list, m), r.cost()
			case 2:
				n := rnd.IntN(len(list) + 1)
				cost -= r.release(r.base + uint64(n))
				list = list[n:]
			case 3:
				if len(list) == 0 {
					r.free()
					continue
				}
				skip := rnd.IntN(len(list))
				packed, to := r.pack(nil, r.base+uint64(skip), rnd.IntN(2000))
				for _, want := range list[skip : to-r.base] {
					one, rest, _, ok := cut(packed)
					if !ok || !bytes.Equal(one, want) {
						t.Fatalf("seed %d: not what was put in", seed)
					}
					packed = rest
				}
				if len(packed) != 0 {
					t.Fatalf("seed %d: %d bytes too many", seed, len(packed))
				}
			}
			if r.cost() != cost || int(r.next-r.base) != len(list) {
				t.Fatalf("seed %d: cost %d, want %d; %d messages, want %d", seed, r.cost(), cost, r.next-r.base, len(list))
			}
		}
	}
}
