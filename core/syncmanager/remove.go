package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// linger is how long the forwarding of U/changes stays after the deletion was published there: what still waits on
// the way to a slow runtime would be lost with it.
const linger = 15 * time.Second

// delete serves a reporter's delete (specification, "Delete").
func (m *Manager) delete(msg message.Message) error {
	var body request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	m.mu.Lock()
	r := m.reported[body.Resource.Canonical()]
	if r == nil || r.reporter != msg.From.Canonical() {
		m.mu.Unlock()
		return notYours(body.Resource, r != nil)
	}
	clean := m.withdraw(r)
	m.mu.Unlock()
	clean()
	m.answer(msg.Respond(message.CodeOK, nil))
	return nil
}

// withdraw takes a reported object away and has everybody told. m.mu is held; what it returns is called without it.
func (m *Manager) withdraw(r *reported) func() {
	delete(m.reported, r.url.Canonical())
	if m.owned[r.reporter]--; m.owned[r.reporter] == 0 {
		delete(m.owned, r.reporter)
	}
	m.end(&r.replica)
	if len(r.remotes) > 0 {
		r.changes.add(message.Message{
			Type: message.Delete, From: object.Subscription(r.url), To: object.Changes(r.url), Source: r.meta.Reporter,
			Body: message.Encode(resourceBody{r.url}),
		})
	}
	stops := r.stops
	remotes := r.remotes
	for runtime, to := range remotes {
		m.unobserveAll(to, runtime)
	}
	r.remotes = make(map[message.URL]*remote)
	key := r.url.Canonical()
	left := make(chan struct{})
	m.leaving[key] = left
	m.spawn(func(ctx context.Context) {
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.leaving, key)
			close(left)
		}()
		for _, stop := range stops {
			stop()
		}
		if err := m.o.Objects.UnregisterObject(ctx, r.url); err != nil && ctx.Err() == nil {
			m.log.Warn("cannot unregister an object", "object", r.url, "error", err)
		}
	})
	if len(remotes) > 0 {
		m.spawn(func(ctx context.Context) {
			select {
			case <-time.After(linger):
			case <-ctx.Done():
			}
			for _, to := range remotes {
				to.stop()
			}
		})
	}
	return func() { m.announce(message.Unsubscribe, m.o.Domain, m.self, r.url, object.Subscription(r.url)) }
}

// unsubscribe serves an observer of this runtime (specification, "Unsubscribe"). It is answered at once.
func (m *Manager) unsubscribe(msg message.Message) error {
	var body request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	m.mu.Lock()
	after := m.leave(body.Resource, msg.From)
	m.mu.Unlock()
	after()
	m.answer(msg.Respond(message.CodeOK, nil))
	return nil
}

// leave ends an observer's subscription. m.mu is held; what it returns is called without it.
func (m *Manager) leave(url, observer message.URL) func() {
	if r := m.reported[url.Canonical()]; r != nil {
		if !m.unfollow(&r.replica, observer) {
			return func() {}
		}
		return func() {
			m.task(observer, func(ctx context.Context) { m.post(ctx, m.forward(r, observer, message.Unsubscribe)) })
		}
	}
	o := m.observed[url.Canonical()]
	if o == nil || !m.unfollow(&o.replica, observer) {
		return func() {}
	}
	drop := m.dropIfIdle(o)
	return func() {
		m.task(observer, func(ctx context.Context) {
			drop()
			m.post(ctx, message.Message{
				Type: message.Unsubscribe, From: m.self, To: object.Subscription(o.url), Source: observer, P2P: message.No,
				Body: message.Encode(map[string]message.URL{"subscriber": observer}),
			})
		})
	}
}

// ComponentGone is told that a component of this runtime has ended: what it reported is deleted, and it observes
// nothing any more.
func (m *Manager) ComponentGone(component message.URL) {
	m.mu.Lock()
	var after []func()
	for _, r := range m.reported {
		if r.reporter.Within(component) {
			after = append(after, m.withdraw(r))
		}
	}
	gone := func(r *replica) {
		for observer := range r.followers {
			if observer.Within(component) {
				after = append(after, m.leave(r.url, observer))
			}
		}
	}
	for _, r := range m.reported {
		gone(&r.replica)
	}
	for _, o := range m.observed {
		gone(&o.replica)
	}
	m.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// RuntimeGone is told that a remote runtime has ended for good, or is unknown: it gets no updates any more. If it
// comes back it subscribes again.
func (m *Manager) RuntimeGone(remote message.URL) {
	m.mu.Lock()
	var stops []func()
	for _, r := range m.reported {
		if to := r.remotes[remote.Canonical()]; to != nil {
			stops = append(stops, to.stop)
			m.unobserveAll(to, remote.Canonical())
			delete(r.remotes, remote.Canonical())
		}
	}
	m.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// read serves a component of this runtime: an object that it reports or observes, or one that is reported here and
// that it may read.
func (m *Manager) read(msg message.Message) error {
	var body request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	key, who := body.Resource.Canonical(), msg.From.Canonical()
	m.mu.Lock()
	r, o := m.reported[key], m.observed[key]
	known := true
	switch {
	case r != nil && (r.reporter == who || r.followers[who] != nil):
		m.give(msg, r.replica)
	case o != nil && o.followers[who] != nil:
		m.give(msg, o.replica)
	default:
		known = false
	}
	m.mu.Unlock()
	switch {
	case known:
	case r != nil:
		m.readRemote(r, msg)
	default:
		return refuse(message.CodeNotFound, string(body.Resource)+" is neither reported nor observed here")
	}
	return nil
}
