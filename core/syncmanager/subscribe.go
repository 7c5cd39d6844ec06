package syncmanager

import (
	"context"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/replica"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// subscribe serves an observer of this runtime (specification, "Subscribe").
func (m *Manager) subscribe(msg message.Message) error {
	var body protocol.Request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	if !protocol.IsObject(body.Resource) {
		return protocol.Refuse(message.CodeBadRequest, "that is not the address of a data object")
	}
	key, observer := body.Resource.Canonical(), msg.From
	l := m.lock()
	defer l.unlock()
	if r := l.reported[key]; r != nil {
		l.subscribeHere(r, msg)
		return nil
	}
	o := l.observed[key]
	if o != nil && o.Known() && o.Observes(observer) { // again
		l.give(msg, o.Snapshot())
		return nil
	}
	err := l.usage.Observer(observer)
	if err == nil && o == nil {
		err = l.usage.Objects(l.objects())
	}
	if err != nil || l.closed {
		return err
	}
	if o == nil {
		o = l.watch(body.Resource)
		l.announce(message.Subscribe, body.Resource.NodeDomain(), observer, object.Changes(body.Resource))
	}
	o.Subscribing()
	join := l.work.joins.begin(keyOf(key, observer))
	started := l.task(observer, func(ctx context.Context) {
		m.post(ctx, protocol.Accepted(msg, body))
		now, err := m.join(ctx, o, join, observer)
		if err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.inTurn(ctx, observer, func() { m.post(ctx, now.Answer(msg)) })
	})
	if !started {
		l.work.joins.end(join)
		l.subscribed(o)
	}
	return nil
}

// subscribeHere serves an observer of an object that is reported in this runtime.
func (m locked) subscribeHere(r *reported, msg message.Message) {
	join := m.work.joins.begin(keyOf(r.URL(), msg.From))
	started := m.task(msg.From, func(ctx context.Context) {
		now, err := m.observeHere(r, join, msg.From, m.authorise(ctx, r, msg.From, message.Subscribe))
		if err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			m.notEntered(r, msg.From)
			return
		}
		m.inTurn(ctx, msg.From, func() { m.post(ctx, now.Answer(msg)) })
	})
	if !started {
		m.work.joins.end(join)
	}
}

// observeHere enters an observer of this runtime of an object that is reported here, and returns the object as it is then.
// authorised is what the reporter says.
func (m *Manager) observeHere(r *reported, join *join, observer message.URL, authorised error) (replica.Snapshot, error) {
	l := m.lock()
	defer l.unlock()
	l.work.joins.end(join)
	switch {
	case authorised != nil:
		return replica.Snapshot{}, authorised
	case !l.serves(r):
		return replica.Snapshot{}, protocol.NotYours(r.URL(), false)
	case join.left:
		return replica.Snapshot{}, errLeft(r.URL())
	}
	err := r.Observe(observer)
	l.note(r)
	return r.Snapshot(), err
}

// join subscribes at the reporter's side for one observer, and returns the object as it is then.
func (m *Manager) join(ctx context.Context, o *observed, join *join, observer message.URL) (replica.Snapshot, error) {
	m.awaitLeft(ctx, join.key)
	meta, doc, err := m.fetch(ctx, o.URL(), observer)
	l := m.lock()
	defer l.unlock()
	defer l.subscribed(o)
	entered := err == nil || protocol.CodeOf(err) == message.CodeTimeout // the reporter's side has the observer, as far as is known
	if err == nil {
		err = l.joined(o, join, observer, meta, doc)
	}
	l.work.joins.end(join)
	if entered {
		l.stays(o, join.key, observer)
	}
	return o.Snapshot(), err
}

// joined enters an observer, with the value in the answer to its subscribe.
func (m locked) joined(o *observed, join *join, observer message.URL, meta object.Metadata, doc object.Document) error {
	if !m.follows(o) {
		return protocol.NotYours(o.URL(), false)
	}
	if err := m.fetched(o, meta, doc); err != nil {
		return err
	}
	if join.left {
		return errLeft(o.URL())
	}
	return o.Observe(observer)
}

// subscribed is told that a subscribe for an observer of this runtime has ended. An object that nobody observes is dropped.
func (m locked) subscribed(o *observed) {
	o.Subscribed()
	m.dropIfIdle(o)
}

// give answers msg with an object.
func (m locked) give(msg message.Message, now replica.Snapshot) {
	m.task(msg.From, func(ctx context.Context) {
		m.inTurn(ctx, msg.From, func() { m.post(ctx, now.Answer(msg)) })
	})
}

// unsubscribe serves an observer of this runtime (specification, "Unsubscribe"). It is answered at once.
func (m *Manager) unsubscribe(msg message.Message) error {
	var body protocol.Request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	if body.Subscriber != "" && body.Subscriber.Canonical() != msg.From.Canonical() {
		return m.kick(msg, body)
	}
	l := m.lock()
	defer l.unlock()
	l.leave(body.Resource, msg.From)
	l.answer(msg.Respond(message.CodeOK, nil))
	return nil
}

// leave ends an observer's subscription, and has the reporter's side told.
func (m locked) leave(url, observer message.URL) {
	key := keyOf(url, observer)
	m.work.joins.leave(key)
	tell := m.messages.Unsubscribe(url, observer)
	if r := m.reported[key.object]; r != nil {
		if !r.Leave(observer) {
			return
		}
		m.note(r)
		if _, away := r.Away(); away {
			r.Former([]message.URL{observer})
			return
		}
		tell = m.messages.Forward(message.Unsubscribe, r.Reporter(), r.URL(), observer)
	} else if o := m.observed[key.object]; o != nil && o.Leave(observer) {
		m.dropIfIdle(o)
	} else {
		return
	}
	m.reportLeft(key, tell)
}

// read serves a component of this runtime: an object that it reports or observes, or one that is reported here and
// that it may read.
func (m *Manager) read(msg message.Message) error {
	var body protocol.Request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	key := body.Resource.Canonical()
	l := m.lock()
	defer l.unlock()
	r, o := l.reported[key], l.observed[key]
	switch {
	case r != nil && (r.ReportedBy(msg.From) || r.Observes(msg.From)):
		l.give(msg, r.Snapshot())
	case o != nil && o.Observes(msg.From):
		l.give(msg, o.Snapshot())
	case r != nil:
		l.readRemote(r, msg)
	default:
		return protocol.Refuse(message.CodeNotFound, string(body.Resource)+" is neither reported nor observed here")
	}
	return nil
}
