package link

import (
	"runtime"
	"testing"
)

// waiting puts frames that nobody receives into the lane, as they come on pipes, and returns how much of its window they took.
func waiting(t *testing.T, l *Lane, size, count int) (cost int) {
	t.Helper()
	f := Frame{Payload: make([]byte, size)}
	for range count {
		if err := l.push([]Frame{f}, true); err != nil {
			t.Fatal(err)
		}
		cost += Cost(f)
	}
	return cost
}

// Frames that wait to be received take memory in proportion to their cost of the window, whatever the frames' sizes are and
// however many lanes there are: so [MaxQueued] bounds it.
func TestWaitingFramesTakeWhatTheyCost(t *testing.T) {
	for _, c := range []struct {
		name               string
		lanes, size, count int
	}{
		{"one byte on each of many lanes", 2000, 1, 1},
		{"empty frames", 40, 0, 16000},
		{"frames of one byte", 40, 1, 16000},
		{"frames of 1 KiB", 40, 1 << 10, 900},
		{"frames of 60 KiB", 40, 60 << 10, 17},
		{"one frame of 70 KiB on each", 100, 70 << 10, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := New(nil, nil)
			var before, after runtime.MemStats
			var lanes []*Lane
			for i := range c.lanes {
				lanes = append(lanes, conn.Lane(1, uint32(i+1)))
			}
			runtime.GC()
			runtime.ReadMemStats(&before)
			cost := 0
			for _, l := range lanes {
				cost += waiting(t, l, c.size, c.count)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			took := int(after.HeapAlloc) - int(before.HeapAlloc)
			t.Logf("%d bytes of the windows took %d bytes, %.1f times", cost, took, float64(took)/float64(cost))
			if took > 3*cost+c.lanes*3<<10 {
				t.Errorf("%d bytes of the windows took %d", cost, took)
			}
			runtime.KeepAlive(lanes)
		})
	}
}

// More than the window ends the link, whatever the frames' sizes are.
func TestEmptyFramesTakeTheWindow(t *testing.T) {
	l := New(nil, nil).Lane(1, 1)
	for i := range 2 * Window / frameCost {
		if err := l.push([]Frame{{}}, true); err != nil {
			if i < Window/frameCost {
				t.Errorf("after %d empty frames: %v", i, err)
			}
			return
		}
	}
	t.Error("there is no bound for empty frames")
}
