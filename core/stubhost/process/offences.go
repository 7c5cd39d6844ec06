package process

import "time"

// How often a process may ask for what it is refused, or say what cannot be read: so often at once, and one more in so
// long. A plug-in without a fault does it never; what is beyond is a reason to end it.
const (
	maxOffences  = 64
	offenceEvery = time.Second
)

// offences counts what a process does wrong that does not end it by itself. The zero value has none.
type offences struct {
	count int // that are not forgotten
	since time.Time
}

// add counts one more. It tells whether that is too many.
func (o *offences) add(now time.Time) bool {
	if forgotten := int(now.Sub(o.since) / offenceEvery); forgotten > 0 || o.count == 0 {
		o.count = max(0, o.count-max(0, forgotten))
		o.since = now
	}
	if o.count >= maxOffences {
		return true
	}
	o.count++
	return false
}
