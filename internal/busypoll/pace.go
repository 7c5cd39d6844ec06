package busypoll

import "time"

const (
	busy = 500 * time.Microsecond // a yield that takes longer means that others need the processor

	minPause, maxPause = time.Millisecond, time.Second
	maxSkipped         = 63 // waits that sleep at once after a poll without success
)

// pace decides when a Waiter polls for input, and when it sleeps. The zero value has seen no input yet, and sleeps.
type pace struct {
	soon    bool          // the last wait was short
	skipped int           // how many waits sleep at once after a poll without success
	skip    int           // how many of these are left
	until   time.Time     // do not poll before, since others need the processor
	pause   time.Duration // how long that pause was
}

// came notes how long the wait for an input was. limit is the limit of the Waiter.
func (p *pace) came(waited, limit time.Duration) { p.soon = waited < 2*limit }

// rests tells whether to sleep because the last wait was long, or others need the processor.
func (p *pace) rests(now time.Time) bool { return !p.soon || now.Before(p.until) }

// skips tells whether this wait sleeps at once because earlier polls had no success.
func (p *pace) skips() bool {
	if p.skip == 0 {
		return false
	}
	p.skip--
	return true
}

// yielded notes one try of a poll: when the poll began, when the processor was yielded (before) and was back (now), the limit, and
// whether input was found. It tells whether the poll is over.
func (p *pace) yielded(began, before, now time.Time, limit time.Duration, found bool) (over bool) {
	switch {
	case now.Sub(before) > busy: // others need the processor
		if now.Sub(p.until) > maxPause { // the last such pause is long over
			p.pause = 0
		}
		p.pause = min(max(2*p.pause, minPause), maxPause)
		p.until = now.Add(p.pause)
	case found:
		p.skipped = 0
	case now.Sub(began) >= limit:
		p.skipped = min(2*p.skipped+1, maxSkipped)
		p.skip = p.skipped
	default:
		return false
	}
	return true
}
