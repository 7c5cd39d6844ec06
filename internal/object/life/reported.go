package life

import (
	"time"

	"github.com/protofly/protofly/internal/object"
)

// DefaultGrace is how long an object outlives its reporter's lost connection where its reporter asks for nothing else.
const DefaultGrace = time.Minute

// Reported is the life of an object in its reporter's runtime. It is made by [NewReported].
type Reported struct {
	grace time.Duration
	asked bool      // the reporter has asked for that grace time
	since time.Time // when the reporter went; zero: it is there
}

// NewReported is the life of an object whose reporter is there. asked tells whether it has asked for the grace time: then that counts
// also where the reporter's application ends its hyperty in good order.
func NewReported(grace time.Duration, asked bool) Reported {
	return Reported{grace: grace, asked: asked}
}

// Grace is the grace time.
func (r *Reported) Grace() time.Duration { return r.grace }

// Survives tells whether the object is to outlive the end of its reporter. closed: the application has ended the hyperty itself;
// else its process or connection has ended.
func (r *Reported) Survives(closed bool) bool { return r.grace > 0 && (r.asked || !closed) }

// Leave is told that the reporter has gone. The first of several counts.
func (r *Reported) Leave(now time.Time) {
	if r.since.IsZero() {
		r.since = now
	}
}

// Back is told that the reporter is there again.
func (r *Reported) Back() { r.since = time.Time{} }

// Away tells whether the reporter is away, and since when.
func (r *Reported) Away() (since time.Time, away bool) { return r.since, !r.since.IsZero() }

// Due is when the object ends unless its reporter comes back; ok is false where it does not.
func (r *Reported) Due() (at time.Time, ok bool) {
	if r.since.IsZero() || r.grace == object.Forever {
		return time.Time{}, false
	}
	return r.since.Add(r.grace), true
}
