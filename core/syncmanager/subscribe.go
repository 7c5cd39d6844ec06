package syncmanager

import (
	"context"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// subscribe serves an observer of this runtime (specification, "Subscribe").
func (m *Manager) subscribe(msg message.Message) error {
	var body request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	if !isObject(body.Resource) {
		return refuse(message.CodeBadRequest, "that is not the address of a data object")
	}
	key, observer := body.Resource.Canonical(), msg.From
	m.mu.Lock()
	if r := m.reported[key]; r != nil {
		m.mu.Unlock()
		m.subscribeHere(r, msg)
		return nil
	}
	o := m.observed[key]
	if o != nil && !o.joining && o.followers[observer.Canonical()] != nil { // again
		m.give(msg, o.replica)
		m.mu.Unlock()
		return nil
	}
	if m.follows[observer.Canonical()] >= m.o.Limits.PerComponent || (o == nil && len(m.reported)+len(m.observed) >= m.o.Limits.Objects) {
		m.mu.Unlock()
		return refuse(message.CodeTooMany, "too many data objects")
	}
	if o == nil && !m.closed {
		o = m.watch(body.Resource)
		defer m.announce(message.Subscribe, body.Resource.NodeDomain(), observer, object.Changes(body.Resource))
	}
	if o == nil {
		m.mu.Unlock()
		return nil
	}
	o.waiting++
	m.mu.Unlock()
	started := m.task(observer, func(ctx context.Context) {
		m.post(ctx, msg.RespondBody(message.Encode(valueBody{Code: message.CodeAccepted, Schema: body.Schema, Resource: body.Resource, Children: []string{}})))
		now, err := m.join(ctx, o, observer)
		if err != nil {
			m.post(ctx, refusal(msg, err))
			return
		}
		m.inTurn(ctx, observer, func() { m.post(ctx, now.value(msg)) })
	})
	if !started {
		m.joined(o)
	}
	return nil
}

// subscribeHere serves an observer of an object that is reported in this runtime.
func (m *Manager) subscribeHere(r *reported, msg message.Message) {
	m.task(msg.From, func(ctx context.Context) {
		err := m.authorise(ctx, r, msg.From, message.Subscribe)
		if err == nil {
			m.mu.Lock()
			if err = notYours(r.url, false); m.reported[r.url.Canonical()] == r {
				err = m.follow(&r.replica, msg.From)
			}
			now := r.replica
			m.mu.Unlock()
			if err == nil {
				m.inTurn(ctx, msg.From, func() { m.post(ctx, now.value(msg)) })
				return
			}
		}
		m.post(ctx, refusal(msg, err))
	})
}

// join subscribes at the reporter's side for one observer, and returns the object as it is then.
func (m *Manager) join(ctx context.Context, o *observed, observer message.URL) (replica, error) {
	defer m.joined(o)
	meta, doc, err := m.fetch(ctx, o, observer)
	if err != nil {
		return replica{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.observed[o.url.Canonical()] != o {
		return replica{}, notYours(o.url, false)
	}
	if o.joining {
		if err := m.adopt(o, meta, doc); err != nil {
			return replica{}, err
		}
	}
	return o.replica, m.follow(&o.replica, observer)
}

// give answers msg with an object. m.mu is held.
func (m *Manager) give(msg message.Message, now replica) {
	m.begin(msg.From, func(ctx context.Context) {
		m.inTurn(ctx, msg.From, func() { m.post(ctx, now.value(msg)) })
	})
}

// joined counts one subscribe less, and drops an object that nobody follows.
func (m *Manager) joined(o *observed) {
	m.mu.Lock()
	o.waiting--
	drop := m.dropIfIdle(o)
	m.mu.Unlock()
	drop()
}
