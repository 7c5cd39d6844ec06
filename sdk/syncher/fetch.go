package syncher

import (
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
)

// refetch subscribes again, in a goroutine of the syncher, until it has the object or the object is gone.
func (o lockedObserver) refetch() {
	if o.joining || o.ended {
		return
	}
	o.joining = o.s.spawn(o.fetch)
}

// tries is what has become of the tries to fetch an object anew.
type tries struct {
	life    life.Observed
	first   time.Time // when the first has failed
	failed  int
	refused int // answers 404
}

// fetch subscribes until it has the object or the object is gone.
func (o *Observer) fetch() {
	l := o.lock()
	grace, known, err := object.ParseGrace(o.meta.Grace)
	t := tries{first: time.Now()}
	t.life.Told(grace, known && err == nil, o.meta.Keep, time.Time{})
	l.unlock()
	pauses := backoff.Backoff{Min: 2 * time.Second, Max: time.Minute} // so the fifth refusal is 15 s after the first, or later
	for !o.isEnded() && o.s.ctx.Err() == nil {
		err := o.join(o.s.ctx)
		if err == nil {
			return
		}
		o.s.log.Debug("cannot fetch an object anew", "object", o.url, "error", err)
		if end := t.failedWith(codeOf(err), time.Now()); end != "" {
			o.lost(end, "")
			return
		}
		o.awayWhileFetching(t.life.Away())
		_ = pauses.Wait(o.s.ctx)
	}
}

// failedWith is told that a try has failed, with a code. end is not "" where the object is gone for this observer.
func (t *tries) failedWith(code int, now time.Time) (end End) {
	if code == message.CodeForbidden {
		return EndRefused
	}
	t.failed++
	if code == message.CodeNotFound {
		t.refused++
	}
	switch {
	case code == message.CodeNotFound:
		t.life.Missed(now)
	case t.failed > 1: // the runtime may have just started
		t.life.Lost(t.first)
	}
	if code == message.CodeNotFound && t.refused >= maxRefusals && t.life.Unknown(now) {
		return EndDeleted
	}
	if at, ok := t.life.Due(); ok && !now.Before(at) {
		return EndExpired
	}
	return ""
}

// awayWhileFetching says that the reporter is away, unless its runtime has said that before.
func (o *Observer) awayWhileFetching(since time.Time) {
	l := o.lock()
	defer l.unlock()
	if o.meta.Away == "" && !o.ended {
		l.setAway(object.Time(since))
	}
}
