package life

import (
	"time"

	"github.com/protofly/protofly/internal/object"
)

// Times after which an object ends whose reporter's side says nothing of it.
const (
	// UnreachableTime is how long a runtime may be unreachable before its objects end for observers elsewhere, whatever shorter
	// grace time they have: the network between two runtimes that run is away sometimes.
	UnreachableTime = 5 * time.Minute
	// UnknownTime is how long a runtime that answers may not know an object, at most, whatever longer grace time that has: its reporter
	// may have to start first. An object that the runtime keeps is known at once, or never.
	UnknownTime = 10 * time.Minute
	// MissedTime is how long a runtime that answers has not known an object before its reporter counts as away: a runtime that has
	// just started gets its applications back.
	MissedTime = 10 * time.Second
)

// Observed is the life of an object in an observer's runtime. The zero value is one of which nothing is known.
type Observed struct {
	grace time.Duration
	known bool // the reporter's runtime tells of its objects' lives
	keep  bool
	said  time.Time // since when the reporter is away, as its runtime says
	lost  time.Time // since when nothing comes from that runtime
	miss  time.Time // since when that runtime does not know the object
	shown time.Time // since when the reporter is away because of the two
}

// Told is told what the reporter's runtime says of the object, in an answer or a notice.
func (o *Observed) Told(grace time.Duration, known, keep bool, away time.Time) {
	*o = Observed{grace: grace, known: known, keep: keep, said: away}
}

// Known tells whether the reporter's runtime tells of its objects' lives: one of an earlier version does not.
func (o *Observed) Known() bool { return o.known }

// Lost is told that nothing has come from the reporter's runtime since then.
func (o *Observed) Lost(since time.Time) {
	if o.known && o.lost.IsZero() {
		o.lost = since
		o.show(since)
	}
}

func (o *Observed) show(since time.Time) {
	if o.shown.IsZero() {
		o.shown = since
	}
}

// Missed is told that the reporter's runtime does not know the object.
func (o *Observed) Missed(now time.Time) {
	o.lost = time.Time{} // it answers
	if o.miss.IsZero() {
		o.miss = now
	}
	if o.known && now.Sub(o.miss) >= MissedTime {
		o.show(o.miss)
	}
}

// Away is since when the reporter is away, as far as is known; zero: it is there.
func (o *Observed) Away() time.Time {
	if !o.said.IsZero() {
		return o.said
	}
	return o.shown
}

// Due is when the object ends unless its runtime says something; ok is false where it does not.
func (o *Observed) Due() (at time.Time, ok bool) {
	if o.lost.IsZero() || o.grace == object.Forever {
		return time.Time{}, false
	}
	return o.lost.Add(max(o.grace, UnreachableTime)), true
}

// Unknown tells whether the object is gone because its runtime, which answers, has not known it for long enough.
func (o *Observed) Unknown(now time.Time) bool {
	if o.miss.IsZero() {
		return false
	}
	wait := min(o.grace, UnknownTime)
	if !o.known || o.keep {
		wait = 0
	}
	return !now.Before(o.miss.Add(wait))
}
