// Package throttle limits how much processor time the host spends on one stub's messages, and on its frames that are for nobody.
// Data that a stub carries for applications are not throttled.
package throttle

import (
	"context"
	"time"
)

// The processor time that a stub may use: so much at once, and one part in so many of a processor.
const (
	burst       = 200 * time.Millisecond
	share       = 8
	maxCost     = time.Millisecond      // the most that one message or frame counts; a longer time is time spent waiting
	MessageCost = 40 * time.Microsecond // the least that a message counts: others spend time on its answer
	FrameCost   = 4 * time.Microsecond  // the least that a frame counts: another goroutine has read it
)

// Throttle says how long a stub that posts without end has to wait for its next turn, so that it takes no more than its share of
// a processor. The zero value is ready for use, by one goroutine at a time.
type Throttle struct {
	taken time.Duration // used beyond the share
	last  time.Time
}

// Due returns how long the next turn has to wait.
func (t *Throttle) Due(now time.Time) time.Duration {
	t.taken = max(0, t.taken-now.Sub(t.last)/share)
	t.last = now
	return max(0, t.taken-burst) * share
}

// Add counts a turn that began at began and ends now, with n messages or frames. Each counts least at least.
func (t *Throttle) Add(began time.Time, n int, least time.Duration) (now time.Time) {
	now = time.Now()
	t.taken += max(least*time.Duration(n), min(now.Sub(began), maxCost*time.Duration(n)))
	return now
}

// Pause counts a turn as Add does, and waits until the next may begin or ctx ends.
func (t *Throttle) Pause(ctx context.Context, began time.Time, n int, least time.Duration) {
	d := t.Due(t.Add(began, n, least))
	if d < maxCost {
		return // too short to sleep for; it adds up
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
	}
}
