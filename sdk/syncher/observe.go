package syncher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

type subscribeBody struct {
	Resource message.URL `json:"resource"`
}

// Observe subscribes to an object (specification, "Subscribe") and returns when its current value is there. A
// component observes an object once. The error is a *message.ResponseError: 403 where the reporter does not allow it,
// 404 where there is no such object, 408 where nobody answered.
func (s *Syncher) Observe(ctx context.Context, url message.URL) (*Observer, error) {
	if _, err := message.ParseURL(string(url)); err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	o := &Observer{s: s, url: url, joining: true, wake: make(chan struct{}, 1)}
	s.mu.Lock()
	_, twice := s.observers[url.Canonical()]
	full := len(s.observers) >= maxObserved
	if !twice && !full && !s.closed {
		s.observers[url.Canonical()] = o
	}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if twice {
		return nil, &message.ResponseError{Code: message.CodeConflict, Description: "it is observed already", From: url}
	}
	if full {
		return nil, &message.ResponseError{Code: message.CodeTooMany, From: url,
			Description: fmt.Sprintf("%s observes %d objects, no more are allowed: end some with Close", s.owner, maxObserved)}
	}
	if err := o.join(ctx); err != nil {
		o.leave()
		if code := codeOf(err); code == 0 || code == message.CodeTimeout { // it may have been done
			s.spawn(func() { _, _ = s.ask(s.ctx, message.Unsubscribe, subscribeBody{Resource: url}) })
		}
		return nil, fmt.Errorf("observe %s: %w", url, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes, o.bytes = nil, 0 // what came meanwhile is in the value
	return o, nil
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
	if n := len(o.changes); n > 0 && o.changes[n-1].Deleted {
		o.changes = o.changes[n-1:]
	} else {
		o.changes = nil
	}
	o.bytes = 0
	return Change{Resync: true, Value: o.doc.JSON(), Version: o.meta.Version}
}

// Close ends the observation and tells the sync manager. The error says that it could not be told.
func (o *Observer) Close(ctx context.Context) error {
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

// queue adds a change for Next.
func (o lockedObserver) queue(c Change) {
	n := len(o.changes)
	switch {
	case n > 0 && o.changes[0].Resync && !c.Deleted: // it covers what follows it
	case (n >= maxChanges || o.bytes+len(c.Value) > maxChangeBytes) && !c.Deleted:
		o.changes, o.bytes = []Change{{Resync: true}}, 0
	default:
		o.changes = append(o.changes, c)
		o.bytes += len(c.Value)
	}
	o.signal()
}

// replace makes the object what the sync manager says it is.
func (o lockedObserver) replace(meta object.Metadata, doc object.Document) {
	o.keep(doc, meta)
	o.changes, o.bytes = nil, 0
	o.queue(Change{Resync: true})
}

// keep makes the object what it is now.
func (o lockedObserver) keep(doc object.Document, meta object.Metadata) {
	o.doc, o.meta = doc, meta
	o.packer.Changed(o.url, o.pack)
}

// pack makes the object smaller in memory, some time after it has changed.
func (o *Observer) pack() {
	l := o.lock()
	defer l.unlock()
	o.doc = o.packer.Packed(o.doc)
}

// apply takes an update.
func (o lockedObserver) apply(u *object.Update) {
	switch {
	case o.ended:
		return
	case o.joining:
		o.early = append(o.early, *u)
		o.earlyBytes += u.Size()
		for len(o.early) > maxChanges || o.earlyBytes > maxChangeBytes { // the oldest are the likeliest to be in the answer
			o.earlyBytes -= o.early[0].Size()
			o.early = o.early[1:]
		}
		return
	case u.Attribute == "":
		meta, doc, err := object.ParseWhole(u.Value)
		if err != nil {
			o.s.log.Warn("cannot read an object", "object", o.url, "error", err)
			return
		}
		o.replace(meta, doc)
		return
	}
	version := o.meta.Version + 1
	if u.Version != nil {
		version = *u.Version
	}
	if version <= o.meta.Version {
		return
	}
	doc, err := o.doc.Apply(u.Change())
	if err != nil || version > o.meta.Version+1 {
		o.s.log.Debug("fetching an object anew", "object", o.url, "version", o.meta.Version, "update", version, "error", err)
		o.refetch()
		return
	}
	meta := o.meta
	meta.Version = version
	if u.LastModified != "" {
		meta.LastModified = u.LastModified
	}
	o.keep(doc, meta)
	for _, c := range u.Change().Items() {
		o.queue(Change{Attribute: c.Attribute, Operation: Operation(c.Operation), Value: c.Value, Version: version})
	}
}

// refetch subscribes again, in a goroutine of the syncher, until it has the object or the object is gone.
func (o lockedObserver) refetch() {
	if o.joining {
		return
	}
	o.joining = o.s.spawn(o.fetch)
}

// fetch subscribes until it has the object or the object is gone.
func (o *Observer) fetch() {
	refused := 0
	pauses := backoff.Backoff{Min: 2 * time.Second, Max: time.Minute} // so the fifth refusal is 15 s after the first, or later
	for !o.isEnded() && o.s.ctx.Err() == nil {
		err := o.join(o.s.ctx)
		if err == nil {
			return
		}
		o.s.log.Debug("cannot fetch an object anew", "object", o.url, "error", err)
		if code := codeOf(err); code == message.CodeForbidden || code == message.CodeNotFound {
			if refused++; refused == maxRefusals || code == message.CodeForbidden {
				o.lost()
				return
			}
		}
		_ = pauses.Wait(o.s.ctx)
	}
}

// lost ends the observation: the object is gone.
func (o *Observer) lost() {
	l := o.lock()
	if !o.ended {
		l.queue(Change{Deleted: true, Version: o.meta.Version})
	}
	l.unlock()
	o.leave()
}

func (o *Observer) isEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// observer finds the observer of an object.
func (s *Syncher) observer(object message.URL) *Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.observers[object.Canonical()]
}

// updated takes an update from the sync manager.
func (s *Syncher) updated(m message.Message) {
	var u object.Update
	if err := m.Decode(&u); err != nil {
		s.log.Warn("cannot read an update", "error", err)
		return
	}
	if o := s.observer(u.Resource); o != nil {
		l := o.lock()
		defer l.unlock()
		l.apply(&u)
	}
}

// deleted takes the end of an object from the sync manager.
func (s *Syncher) deleted(m message.Message) {
	var body resourceBody
	if err := m.Decode(&body); err != nil {
		s.log.Warn("cannot read a delete", "error", err)
		return
	}
	if o := s.observer(body.Resource); o != nil {
		o.lost()
	}
}
