package process

import "time"

// How many violations a process may commit: so many at once, and one more in each interval. A violation is a request that is
// refused, or a message that cannot be read. A plug-in without a fault commits none; one with more of them is killed.
const (
	maxViolations = 64
	forgetEvery   = time.Second
)

// violations counts the violations of a process. It forgets one in each interval. The zero value has none.
type violations struct {
	count int // that are not forgotten
	since time.Time
}

// add counts one more. It tells whether that is one too many.
func (o *violations) add(now time.Time) bool {
	if forgotten := int(now.Sub(o.since) / forgetEvery); forgotten > 0 || o.count == 0 {
		o.count = max(0, o.count-max(0, forgotten))
		o.since = now
	}
	if o.count >= maxViolations {
		return true
	}
	o.count++
	return false
}
