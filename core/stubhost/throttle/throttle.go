// Package throttle bounds how much of a processor one stub takes for what is not the data that it carries.
package throttle

import (
	"context"
	"time"
)

// What a stub may take of a processor that is not for the data that it carries: so much at once, and one part in so many.
const (
	burst       = 200 * time.Millisecond
	share       = 8
	maxCost     = time.Millisecond      // that one message or frame counts; what takes longer has waited for somebody
	MessageCost = 40 * time.Microsecond // that a message counts at least: it is answered elsewhere
	FrameCost   = 4 * time.Microsecond  // that a frame does: it is read elsewhere
)

// Throttle leaves the processors to others where a stub posts without end: it has its turn again once it has taken no more
// than its share. The zero value has taken nothing. It is used by one goroutine at a time.
type Throttle struct {
	taken time.Duration // that is not made up for
	last  time.Time
}

// Due is how long the next turn has to wait.
func (t *Throttle) Due(now time.Time) time.Duration {
	t.taken = max(0, t.taken-now.Sub(t.last)/share)
	t.last = now
	return max(0, t.taken-burst) * share
}

// Add counts a turn that began then and ends now: n messages or frames, each of which counts that much at least.
func (t *Throttle) Add(began time.Time, n int, least time.Duration) (now time.Time) {
	now = time.Now()
	t.taken += max(least*time.Duration(n), min(now.Sub(began), maxCost*time.Duration(n)))
	return now
}

// Pause counts a turn, and waits until the next may begin or ctx ends.
func (t *Throttle) Pause(ctx context.Context, began time.Time, n int, least time.Duration) {
	d := t.Due(t.Add(began, n, least))
	if d < maxCost {
		return // it adds up
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
	}
}
