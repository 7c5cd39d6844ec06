package gcpace

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A process is collected once when it becomes idle: not while it is busy, not again while it stays idle, and not for little
// garbage.
func TestLook(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name string
		seen []uint64 // allocated in all, MiB, at each check; the heap has 40
		want int
	}{
		{"never busy", []uint64{1, 1, 1, 1}, 0},
		{"busy all the time", []uint64{100, 200, 300, 400}, 0},
		{"busy once", []uint64{100, 100, 100, 100}, 1},
		{"busy twice", []uint64{100, 100, 200, 200, 200}, 2},
		{"little by little", []uint64{100, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111}, 1},
		{"busy for little", []uint64{100, 100, 103, 103, 106, 106}, 1},
		{"busy for enough in the end", []uint64{100, 100, 103, 103, 106, 106, 110, 110}, 2},
	} {
		collected := 0
		r := pacer{collect: func() { collected++ }, percent: usual, grant: func(int) {}}
		for _, n := range c.seen {
			r.check(n*mib, 40*mib, 20*mib)
		}
		if collected != c.want {
			t.Errorf("%s: collected %d times, want %d", c.name, collected, c.want)
		}
	}
}

// While a process allocates quickly its collector is given room, the less the larger the heap in use is.
func TestRoom(t *testing.T) {
	const mib = 1 << 20
	var granted []int
	r := pacer{collect: func() {}, room: Room, percent: usual, grant: func(p int) { granted = append(granted, p) }}
	for _, seen := range []struct{ allocated, used uint64 }{{1, 4}, {101, 4}, {201, 4}, {301, 5}, {401, 16}, {501, 100}, {601, 4}, {602, 4}, {603, 4}} {
		r.check(seen.allocated*mib, 20*mib, seen.used*mib)
	}
	if want := []int{800, 200, 100, 800, 100}; !slices.Equal(granted, want) {
		t.Errorf("%v, want %v", granted, want)
	}
	granted = nil
	r.checkRate(610*mib, 4*mib) // not yet much since the last check
	r.checkRate(619*mib, 4*mib)
	r.checkRate(620*mib, 4*mib)
	if want := []int{800}; !slices.Equal(granted, want) {
		t.Errorf("between two looks: %v, want %v", granted, want)
	}
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*interval+time.Millisecond)
		defer cancel()
		Run(ctx, Room)
		if ctx.Err() == nil {
			t.Error("it ended before its context did")
		}
	})
}
