package hyperty

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The list behaves as a map does, also where some are confirmed very late, and does not grow with what was confirmed.
func TestSent(t *testing.T) {
	var s sent
	want := map[uint64]int{}
	next := uint64(0)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		if len(want) < 1000 && random.IntN(2) == 0 {
			next++
			want[next] = 1 + random.IntN(9)
			s.add(next, receipt{cost: want[next]})
			continue
		}
		number := next - uint64(random.IntN(40))
		if random.IntN(500) == 0 {
			number = 1 + random.Uint64N(next+1)
		}
		r, ok := s.take(number)
		if cost, there := want[number]; ok != there || r.cost != cost {
			t.Fatalf("post %d: %v with cost %d, want %v with %d", number, ok, r.cost, there, cost)
		}
		delete(want, number)
		if s.count != len(want) {
			t.Fatalf("%d are counted, %d are there", s.count, len(want))
		}
	}
	if cap(s.list) > 4*maxList {
		t.Errorf("a list of %d for %d posts", cap(s.list), len(want))
	}
	numbers := make([]uint64, 0, len(want))
	for n := range want {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	all := s.takeAll()
	if len(all) != len(numbers) {
		t.Fatalf("%d, want %d", len(all), len(numbers))
	}
	for i, r := range all {
		if r.cost != want[numbers[i]] {
			t.Fatalf("out of order at %d", i)
		}
	}
	if s.count != 0 {
		t.Error(s.count)
	}
}
