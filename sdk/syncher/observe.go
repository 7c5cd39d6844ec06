package syncher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

type subscribeBody struct {
	Resource message.URL `json:"resource"`
}

// Observe subscribes to an object (specification, "Subscribe") and returns when its current value is there. A
// component observes an object once. The error is a *message.ResponseError: 403 where the reporter does not allow it,
// 404 where there is no such object, 408 where nobody answered, where its runtime is away, or for a moment while it is being deleted. A
// private object is not in the Domain Registry: to a runtime that none of whose components was invited there is no such object, unless
// the object is reported there.
func (s *Syncher) Observe(ctx context.Context, url message.URL) (*Observer, error) {
	url, err := message.ParseURL(string(url))
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	if err := s.awaitLeaving(ctx, url); err != nil {
		return nil, fmt.Errorf("observe %s: %w", url, err)
	}
	o := &Observer{s: s, url: url, joining: true, wake: make(chan struct{}, 1), children: make(chan struct{}, maxOwnChildren)}
	if err := s.enter(o); err != nil {
		return nil, err
	}
	if err := o.join(ctx); err != nil {
		told := s.leaves(url)
		o.leave()
		if code := codeOf(err); code != 0 && code != message.CodeTimeout || !s.spawn(func() { // else it may have been done
			defer told()
			_, _ = s.ask(s.ctx, message.Unsubscribe, subscribeBody{Resource: url})
		}) {
			told()
		}
		return nil, fmt.Errorf("observe %s: %w", url, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes, o.bytes = nil, 0 // what came meanwhile is in the value
	return o, nil
}

// enter adds an observer.
func (s *Syncher) enter(o *Observer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch key := o.url.Canonical(); {
	case s.closed:
		return ErrClosed
	case s.observers[key] != nil:
		return &message.ResponseError{Code: message.CodeConflict, Description: "it is observed already", From: o.url}
	case len(s.observers) >= maxObserved:
		return &message.ResponseError{Code: message.CodeTooMany, From: o.url,
			Description: fmt.Sprintf("%s observes %d objects, no more are allowed: end some with Close", s.owner, maxObserved)}
	default:
		s.observers[key] = o
		return nil
	}
}

// leaves notes that the sync manager is being told that the object is not observed any more, until told is called: a new
// observation has to begin behind that.
func (s *Syncher) leaves(url message.URL) (told func()) {
	key, done := url.Canonical(), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving[key] = done
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leaving[key] == done {
			delete(s.leaving, key)
		}
		close(done)
	}
}

// awaitLeaving waits until the sync manager has been told of an observation of the object that has ended.
func (s *Syncher) awaitLeaving(ctx context.Context, url message.URL) error {
	for {
		s.mu.Lock()
		done := s.leaving[url.Canonical()]
		s.mu.Unlock()
		if done == nil {
			return nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// join subscribes and applies the updates that came meanwhile. Whoever is subscribed may subscribe again: the answer is
// the object as it is then.
func (o *Observer) join(ctx context.Context) error {
	a, err := o.s.ask(ctx, message.Subscribe, subscribeBody{Resource: o.url})
	if err != nil {
		return err
	}
	meta, doc, err := object.ParseWhole(a.Value)
	if err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	l := o.lock()
	defer l.unlock()
	o.check.Whole(meta, doc)
	l.replace(meta, doc)
	early := o.early
	o.joining, o.early, o.earlyBytes = false, nil, 0
	for i := range early {
		l.apply(&early[i])
	}
	return nil
}

// leave takes o out of the syncher.
func (o *Observer) leave() {
	o.s.mu.Lock()
	if o.s.observers[o.url.Canonical()] == o {
		delete(o.s.observers, o.url.Canonical())
	}
	o.s.mu.Unlock()
	o.end()
}

// end has Next return io.EOF when it has returned what is there.
func (o *Observer) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.signal()
}

func (o *Observer) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// URL is the object's address.
func (o *Observer) URL() message.URL { return o.url }

// Value is the object's data as far as it is known here. The caller owns it.
func (o *Observer) Value() json.RawMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.doc.JSON()
}

// Version counts the changes that are in Value.
func (o *Observer) Version() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.meta.Version
}

// Metadata describes the object as it is known here.
func (o *Observer) Metadata() Metadata {
	o.mu.Lock()
	defer o.mu.Unlock()
	return metadataOf(o.meta)
}

// Next returns the next change, and waits for it. The error is ctx's, or io.EOF after the change that says Deleted,
// or after Close. One goroutine calls it.
func (o *Observer) Next(ctx context.Context) (Change, error) {
	for {
		l := o.lock()
		if len(o.changes) > 0 {
			c := o.changes[0]
			o.bytes -= len(c.Value)
			if o.changes = o.changes[1:]; len(o.changes) == 0 {
				o.changes = nil
			}
			if c.Resync {
				c = l.resync()
			}
			l.unlock()
			return c, nil
		}
		ended := o.ended
		l.unlock()
		if ended {
			return Change{}, io.EOF
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// lockedObserver is an Observer whose mu is held; functions that need that are its methods.
type lockedObserver struct{ *Observer }

// lock locks mu.
func (o *Observer) lock() lockedObserver {
	o.mu.Lock()
	return lockedObserver{o}
}

// unlock unlocks mu.
func (o lockedObserver) unlock() { o.mu.Unlock() }

// resync is the change that stands for all that wait: only the object's end stays behind it.
func (o lockedObserver) resync() Change {
	for n, c := range o.changes {
		if c.lasts() { // only the newest of its kind is there, see queue
			o.changes = o.changes[n:]
			o.bytes = 0
			return Change{Resync: true, Value: o.doc.JSON(), Version: o.meta.Version}
		}
	}
	o.changes, o.bytes = nil, 0
	return Change{Resync: true, Value: o.doc.JSON(), Version: o.meta.Version}
}

// Away tells since when the object's reporter is away, as far as is known; away is false where it is there. [Observer.Next] returns a
// change with OpAway or OpBack when that becomes another.
func (o *Observer) Away() (since time.Time, away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since = object.ParseTime(o.meta.Away)
	return since, !since.IsZero()
}

// setAway takes since when the reporter is away; "": it is there.
func (o lockedObserver) setAway(away string) {
	if away == o.meta.Away {
		return
	}
	o.meta.Away = away
	c := Change{Operation: OpBack, Version: o.meta.Version}
	if away != "" {
		c.Operation, c.Since = OpAway, object.ParseTime(away)
	}
	o.queue(c)
}

// Close ends the observation and tells the sync manager. The error says that it could not be told.
func (o *Observer) Close(ctx context.Context) error {
	defer o.s.leaves(o.url)()
	o.mu.Lock()
	gone := o.ended
	o.mu.Unlock()
	o.leave()
	o.mu.Lock()
	o.changes, o.bytes = nil, 0
	o.mu.Unlock()
	if gone {
		return nil
	}
	if _, err := o.s.ask(ctx, message.Unsubscribe, subscribeBody{Resource: o.url}); err != nil {
		return fmt.Errorf("unsubscribe from %s: %w", o.url, err)
	}
	return nil
}
