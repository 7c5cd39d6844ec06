package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// linger is how long the forwarding of U/changes stays after the deletion was published there: what still waits on
// the way to a slow runtime would be lost with it.
const linger = 15 * time.Second

// tellTime is how long the end of an object's address may wait for its deletion, and the updates before it, to leave for other
// runtimes. They have to hear of both in this order: what comes from an address that has been given up is not believed.
const tellTime = 5 * time.Second

// delete serves a reporter's delete (specification, "Delete").
func (m *Manager) delete(msg message.Message) error {
	var body protocol.Request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	l := m.lock()
	defer l.unlock()
	r, err := l.reports(body.Resource, msg.From)
	if err != nil {
		return err
	}
	l.remove(r, protocol.End{Why: protocol.Deleted}, func(err error) {
		if err != nil {
			l.answer(protocol.Refusal(msg, err))
			return
		}
		l.answer(msg.Respond(message.CodeOK, nil))
	})
	return nil
}

// remove ends an object, when the disk does not have it any more where it was kept. then is told the disk's error: then the object is
// there still. Where then is nil the object ends whatever the disk says, and may be back when the runtime starts again.
func (m locked) remove(r *reported, end protocol.End, then func(error)) {
	if then == nil {
		then = func(err error) {
			if err != nil && m.serves(r) {
				m.withdraw(r, end)
			}
		}
	}
	m.alter(r, write{then: then, apply: func() error {
		m.withdraw(r, end)
		return nil
	}})
}

// withdraw takes a reported object away and has everybody told.
func (m locked) withdraw(r *reported, end protocol.End) {
	key := r.URL().Canonical()
	delete(m.reported, key)
	delete(m.away, r)
	r.Withdraw(end)
	m.settle(r.Replica, &r.packer)
	published, left := make(chan struct{}), make(chan struct{})
	r.Published(func() { close(published) })
	m.leaving[key] = left
	m.spawn(func(ctx context.Context) {
		defer m.unregistered(key, left)
		for _, stop := range r.listens {
			stop()
		}
		m.told(ctx, r, published)
		if err := m.o.Objects.UnregisterObject(ctx, r.URL()); err != nil && ctx.Err() == nil {
			m.log.Warn("cannot unregister an object", "object", r.URL(), "error", err)
		}
	})
	if forwards := r.forwards; len(forwards) > 0 {
		r.forwards = nil
		m.spawn(func(ctx context.Context) {
			backoff.Sleep(ctx, linger)
			for _, stop := range forwards {
				stop()
			}
		})
	}
	m.announce(message.Unsubscribe, m.o.Domain, m.self, r.URL(), object.Subscription(r.URL()))
}

// told waits until other runtimes have been sent all that was published of an object, at most for tellTime.
func (m *Manager) told(ctx context.Context, r *reported, published <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	select {
	case <-published:
		m.bus.Published(ctx, object.Changes(r.URL()))
	case <-ctx.Done():
	}
}

// unregistered is told that a deleted object's address is free.
func (m *Manager) unregistered(key message.URL, left chan struct{}) {
	l := m.lock()
	defer l.unlock()
	delete(l.leaving, key)
	close(left)
}

// ComponentGone is told that a component of this runtime has been ended by its application: what it reported is deleted, but for
// objects with a grace time that it has asked for, and it observes nothing any more.
func (m *Manager) ComponentGone(component message.URL) { m.componentGone(component, true) }

// ComponentLost is told that a component of this runtime has ended because its application's process or connection has: what it
// reported outlives it for its grace time, and it observes nothing any more.
func (m *Manager) ComponentLost(component message.URL) { m.componentGone(component, false) }

func (m *Manager) componentGone(component message.URL, closed bool) {
	l := m.lock()
	defer l.unlock()
	now := time.Now()
	for _, r := range l.reported {
		if !r.Reporter().Within(component) {
			continue
		}
		if r.Survives(closed) {
			l.left(r, now)
		} else {
			l.remove(r, protocol.End{Why: protocol.Deleted}, nil)
		}
	}
	leave := func(url message.URL, observers []message.URL) {
		for _, observer := range observers {
			if observer.Within(component) {
				l.leave(url, observer)
			}
		}
	}
	for _, r := range l.reported {
		leave(r.URL(), r.Observers())
	}
	for _, o := range l.observed {
		leave(o.URL(), o.Observers())
	}
}

// RuntimeGone is told that a remote runtime has ended for good, or is unknown: it gets no updates any more. If it
// comes back it subscribes again.
func (m *Manager) RuntimeGone(remote message.URL) {
	l := m.lock()
	defer l.unlock()
	l.missed.Forget(remote.Canonical())
	for _, r := range l.reported {
		for _, observer := range r.RemoteGone(remote.Canonical()) {
			l.tellLeft(r, observer)
		}
		l.unforward(r, remote.Canonical())
	}
}

// tellLeft tells a reporter that an observer is none any more.
func (m locked) tellLeft(r *reported, observer message.URL) {
	if _, away := r.Away(); away {
		return
	}
	m.task(m.self, func(ctx context.Context) {
		m.post(ctx, m.messages.Forward(message.Unsubscribe, r.Reporter(), r.URL(), observer))
	})
}
