package table

import (
	"testing"
	"time"
)

// Whoever was about to have idle sessions looked for when everything ended leaves no timer behind.
func TestNoSweepAfterTheEnd(t *testing.T) {
	var w Sweep
	w.Soon(time.Hour, 1, func() {})
	w.Stop()
	w.Began()
	if w.Soon(time.Hour, 1, func() {}); w.timer != nil {
		w.timer.Stop()
		t.Error("a timer runs after the end")
	}
}

// Something is looked for as often as what is to be found needs it.
func TestPause(t *testing.T) {
	for _, c := range []struct{ idle, handshakes, ask, want time.Duration }{
		{-1, 0, -1, sweepMax},
		{24 * time.Hour, 0, 0, sweepMax},
		{24 * time.Hour, 0, 2 * time.Minute, 30 * time.Second},
		{time.Minute, 0, 2 * time.Minute, 15 * time.Second},
		{time.Second, 0, 0, sweepMin},
		{time.Minute, 5 * time.Second, 0, 10 * time.Second},
		{-1, 5 * time.Second, 0, 10 * time.Second},
	} {
		if got := Pause(c.idle, c.handshakes, c.ask); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Where there was no room it is not sought again for a while, unless there is some.
func TestVain(t *testing.T) {
	var w Sweep
	if w.Vain(1) || !w.Vain(2) || w.Vain(2+fullPause) {
		t.Error("it is in vain at another time")
	}
	if w.Room(); w.Vain(3 + fullPause) {
		t.Error("room is not noticed")
	}
}
