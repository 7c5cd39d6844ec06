package stubhost

import (
	"context"
	"time"
)

// What a stub may take of a processor that is not for the data that it carries: so much at once, and one part in so many.
const (
	turnsBurst  = 200 * time.Millisecond
	turnsShare  = 8
	maxTurn     = time.Millisecond      // that one message or frame counts; what takes longer has waited for somebody
	messageTurn = 40 * time.Microsecond // that a message counts at least: it is answered elsewhere
	frameTurn   = 4 * time.Microsecond  // that a frame does: it is read elsewhere
)

// turns leaves the processors to others where a stub posts without end: it has its turn again once it has taken no more
// than its share. The zero value has taken nothing.
type turns struct {
	taken time.Duration // that is not made up for
	last  time.Time
}

// due is how long the next turn has to wait.
func (t *turns) due(now time.Time) time.Duration {
	t.taken = max(0, t.taken-now.Sub(t.last)/turnsShare)
	t.last = now
	return max(0, t.taken-turnsBurst) * turnsShare
}

// add counts a turn that began then and ends now: n messages or frames, each of which counts that much at least.
func (t *turns) add(began time.Time, n int, least time.Duration) (now time.Time) {
	now = time.Now()
	t.taken += max(least*time.Duration(n), min(now.Sub(began), maxTurn*time.Duration(n)))
	return now
}

// pause counts a turn, and waits until the next may begin or ctx ends.
func (t *turns) pause(ctx context.Context, began time.Time, n int, least time.Duration) {
	d := t.due(t.add(began, n, least))
	if d < maxTurn {
		return // it adds up
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
	}
}
