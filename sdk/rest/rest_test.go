package rest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A process is collected once when it becomes quiet: not while it is busy, not again while it stays quiet, and not for
// little.
func TestLook(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name string
		seen []uint64 // allocated in all, MiB, at each look; the heap has 40
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
		r := resting{collect: func() { collected++ }}
		for _, n := range c.seen {
			r.look(n*mib, 40*mib)
		}
		if collected != c.want {
			t.Errorf("%s: collected %d times, want %d", c.name, collected, c.want)
		}
	}
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*look+time.Millisecond)
		defer cancel()
		Run(ctx)
		if ctx.Err() == nil {
			t.Error("it ended before its context did")
		}
	})
}
