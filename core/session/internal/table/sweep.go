package table

import (
	"sync"
	"time"
)

const (
	sweepMin  = time.Second // between two looks for idle sessions
	sweepMax  = 10 * time.Minute
	fullPause = time.Second // before room is sought again where there was none
)

// Pause is how long nothing need be looked for: idle is after how long a session is dropped, and ask after how long its peer is
// asked for a sign of life, at most 0: never; handshakes is after how long one that has not ended is, 0: there is none.
func Pause(idle, handshakes, ask time.Duration) time.Duration {
	pause := sweepMax
	for _, often := range []time.Duration{idle, ask} {
		if often > 0 {
			pause = min(pause, max(often/4, sweepMin))
		}
	}
	if handshakes > 0 {
		pause = min(pause, 2*handshakes)
	}
	return pause
}

// Sweep is when idle sessions are looked for. The zero value works; it is safe for use by many goroutines.
type Sweep struct {
	mu        sync.Mutex
	timer     *time.Timer   // nil: there is nothing to look for
	due       time.Duration // when it fires
	fullUntil time.Duration // the table is full, and nothing in it can be dropped
	stopped   bool          // nothing is looked for any more
}

// Soon has f called after the pause, unless it is called before, or everything ends.
func (w *Sweep) Soon(pause, now time.Duration, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := now + pause
	switch {
	case w.stopped:
	case w.timer == nil:
		w.timer, w.due = time.AfterFunc(pause, f), due
	case due < w.due && w.timer.Stop(): // else it looks just now
		w.timer, w.due = time.AfterFunc(pause, f), due
	}
}

// Began notes that f was called.
func (w *Sweep) Began() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = nil
}

// Stop ends it, for good.
func (w *Sweep) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// Vain tells whether it is in vain to look for room: there was none just before, and there is none until Room is called.
func (w *Sweep) Vain(now time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	vain := w.fullUntil != 0 && now < w.fullUntil
	w.fullUntil = now + fullPause
	return vain
}

// Room notes that there is room.
func (w *Sweep) Room() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fullUntil = 0
}
