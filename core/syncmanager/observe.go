package syncmanager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/observing"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// watch enters an object of another runtime and listens at U/changes.
func (m locked) watch(url message.URL) *observed {
	o := &observed{Object: observing.New(url, m.messages, m.usage)}
	m.observed[url.Canonical()] = o
	o.stop = m.bus.Listen(object.Changes(url), func(_ context.Context, msg message.Message) { m.changed(o, msg) })
	return o
}

// dropIfIdle forgets an object that nobody observes, or is about to.
func (m locked) dropIfIdle(o *observed) {
	if o.Idle() && m.follows(o) {
		m.forget(o, protocol.End{})
	}
}

// forget takes an observed object out of the table. Its observers are told that it is gone.
func (m locked) forget(o *observed, end protocol.End) {
	delete(m.observed, o.URL().Canonical())
	m.unfollow(o)
	o.Forget(end)
	m.settle(o.Replica, &o.packer)
	m.afterwards(o.stop)
	m.announce(message.Unsubscribe, o.URL().NodeDomain(), m.self, object.Changes(o.URL()))
}

// changed takes what is published at U/changes.
func (m *Manager) changed(o *observed, msg message.Message) {
	from, url := msg.From.Canonical(), o.URL().Canonical()
	switch {
	case msg.Type == message.Update && from == url:
		var u object.Update
		err := msg.Decode(&u)
		if err == nil {
			err = u.Check()
		}
		if err != nil {
			m.log.Warn("cannot read an update", "object", o.URL(), "error", err)
			return
		}
		l := m.lock()
		defer l.unlock()
		if l.follows(o) {
			l.take(o, u)
		}
	case msg.Type == message.Delete && (from == url || from == object.Subscription(url)):
		var body protocol.Ended
		if msg.Decode(&body) != nil || body.Why != protocol.Expired || len(body.Reason) > protocol.MaxReason {
			body.End = protocol.End{Why: protocol.Deleted}
		}
		l := m.lock()
		defer l.unlock()
		if l.follows(o) {
			o.Ending()
			l.forget(o, body.End)
		}
	case msg.Type == message.Forward && from == url:
		var body protocol.Life
		if msg.Decode(&body) != nil {
			return
		}
		l := m.lock()
		defer l.unlock()
		if l.follows(o) {
			o.Notice(body.Away)
			l.keepUp(o)
		}
	default:
		m.published(o.URL(), msg)
	}
}

// published takes what somebody sends to U/changes: nobody but the object itself publishes there.
func (m *Manager) published(url message.URL, msg message.Message) {
	if msg.Type == message.Response || msg.From.Within(url) {
		return
	}
	m.log.Debug("what is not from the object itself is refused", "object", url, "type", msg.Type, "from", msg.From)
	l := m.lock()
	_, here := l.reported[url.Canonical()]
	l.unlock()
	if here || m.local(msg.From) { // else it has been refused where the object is reported
		m.refuse(msg, protocol.Refuse(message.CodeForbidden, "only the object itself publishes at "+string(msg.To)))
	}
}

// take has an object take an update.
func (m locked) take(o *observed, u object.Update) {
	switch err := o.Take(u); {
	case errors.Is(err, observing.ErrMissed):
		m.log.Debug("fetching an object anew", "object", o.URL(), "error", err)
	case err != nil:
		m.log.Warn("cannot read an object", "object", o.URL(), "error", err)
	}
	m.keepUp(o)
}

// fetched has an object take the value in the answer to a subscribe.
func (m locked) fetched(o *observed, meta object.Metadata, doc object.Document) error {
	err := o.Fetched(meta, doc)
	if err == nil {
		m.follow(o)
	}
	m.keepUp(o)
	return err
}

// keepUp does what an observed object wants after something happened to it.
func (m locked) keepUp(o *observed) {
	m.settle(o.Replica, &o.packer)
	if wait := o.Wait(time.Now()); wait > 0 {
		m.spawn(func(ctx context.Context) {
			if backoff.Sleep(ctx, wait) {
				m.waited(o)
			}
		})
	}
	if o.StartsRenewal() {
		m.spawn(func(ctx context.Context) { m.renew(ctx, o) })
	}
}

// waited goes on with an object whose copy differs, and was fetched anew too often.
func (m *Manager) waited(o *observed) {
	l := m.lock()
	defer l.unlock()
	if o.Waited(); l.follows(o) {
		l.keepUp(o)
	}
}

// fetch subscribes at U/subscription for an observer and reads the value in the answer.
func (m *Manager) fetch(ctx context.Context, url, observer message.URL) (object.Metadata, object.Document, error) {
	r, err := m.ask(ctx, m.messages.Subscribe(url, observer))
	if err != nil {
		return object.Metadata{}, object.Document{}, err
	}
	meta, doc, err := protocol.ReadValue(url, r)
	if err == nil && meta.Reporter != "" && m.o.Remote != nil {
		err = m.verifyReporter(ctx, url, meta.Reporter)
	}
	return meta, doc, err
}

// verifyReporter refuses an object that names a component of another runtime than its own as its reporter.
func (m *Manager) verifyReporter(ctx context.Context, url, reporter message.URL) error {
	remote := m.o.Remote(url)
	if remote == "" {
		return nil // it is not known any more: the next subscribe looks it up
	}
	if err := m.verify(ctx, remote, reporter); protocol.CodeOf(err) == message.CodeForbidden {
		return fmt.Errorf("%s names %s as its reporter: %w", url, reporter, err)
	}
	return nil
}
