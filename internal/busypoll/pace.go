package busypoll

import "time"

// pace decides when a Waiter looks for input, and when it sleeps. The zero value has seen no input yet, and sleeps.
type pace struct {
	soon    bool          // the last wait was short
	skipped int           // how many waits are slept through after one that was looked through in vain
	skip    int           // and are left of them
	until   time.Time     // others need the processor: sleep till then
	pause   time.Duration // for how long that was
}

// came notes how long the wait for an input was, of one that looks for no longer than limit.
func (p *pace) came(waited, limit time.Duration) { p.soon = waited < 2*limit }

// rests tells whether to sleep at this time because the last input was long in coming, or others need the processor.
func (p *pace) rests(now time.Time) bool { return !p.soon || now.Before(p.until) }

// skips tells whether this wait is one of those that are slept through.
func (p *pace) skips() bool {
	if p.skip == 0 {
		return false
	}
	p.skip--
	return true
}

// yielded notes one look: looking began then, with a limit, the processor was given to others before it and was back now, and input
// was found or not. It is true where the looking ends.
func (p *pace) yielded(began, before, now time.Time, limit time.Duration, found bool) (over bool) {
	switch {
	case now.Sub(before) > busy: // whoever had the processor did not give it back soon
		if now.Sub(p.until) > maxPause { // that was long ago
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
