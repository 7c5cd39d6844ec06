package session

import (
	"sync"
	"time"
)

// sweeping is when idle sessions are looked for. The zero value works.
type sweeping struct {
	mu        sync.Mutex
	timer     *time.Timer   // nil: there is nothing to look for
	due       time.Duration // when it fires
	fullUntil time.Duration // the table is full, and nothing in it can be dropped
	stopped   bool          // nothing is looked for any more
}

// soon has f called after the pause, unless it is called before, or everything ends.
func (w *sweeping) soon(pause, now time.Duration, f func()) {
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

// began notes that f was called.
func (w *sweeping) began() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = nil
}

// stop ends it, for good.
func (w *sweeping) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// vain tells whether it is in vain to look for room: there was none just before, and there is none until room is called.
func (w *sweeping) vain(now time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	vain := w.fullUntil != 0 && now < w.fullUntil
	w.fullUntil = now + fullPause
	return vain
}

// room notes that there is room.
func (w *sweeping) room() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fullUntil = 0
}
