package syncmanager

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher/object"
)

// observed is an object of another runtime that components of this one follow. Manager.mu guards it.
type observed struct {
	replica
	stop    func()          // ends listening at U/changes
	waiting int             // subscribes that are under way
	joining bool            // the value is being fetched: updates wait in early
	early   []object.Update //
	bytes   int             // of early
	again   bool            // a renewal is under way
}

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

// watch enters an object of another runtime and listens at U/changes. m.mu is held.
func (m *Manager) watch(url message.URL) *observed {
	o := &observed{joining: true}
	o.replica = replica{url: url, followers: make(map[message.URL]*feed)}
	m.observed[url.Canonical()] = o
	o.stop = m.bus.Listen(object.Changes(url), func(_ context.Context, msg message.Message) { m.changed(o, msg) })
	return o
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

// dropIfIdle forgets an object that nobody follows. m.mu is held; what it returns is called without it.
func (m *Manager) dropIfIdle(o *observed) func() {
	if o.waiting > 0 || len(o.followers) > 0 || m.observed[o.url.Canonical()] != o {
		return func() {}
	}
	m.forget(o)
	return func() {
		o.stop()
		m.announce(message.Unsubscribe, o.url.NodeDomain(), m.self, object.Changes(o.url))
	}
}

// forget takes an observed object out of the table. m.mu is held.
func (m *Manager) forget(o *observed) {
	delete(m.observed, o.url.Canonical())
	m.end(&o.replica)
	o.early, o.bytes = nil, 0
}

// fetch subscribes at U/subscription for an observer and reads the value in the answer.
func (m *Manager) fetch(ctx context.Context, o *observed, observer message.URL) (object.Metadata, object.Document, error) {
	msg := message.Message{Type: message.Subscribe, From: m.self, To: object.Subscription(o.url), Source: observer}
	if o.url.Scheme() == message.SchemeConnection {
		msg.P2P = message.No
	}
	msg.Body = message.Encode(map[string]message.URL{"subscriber": observer})
	r, err := m.ask(ctx, msg)
	if err != nil {
		return object.Metadata{}, object.Document{}, err
	}
	value, err := r.OK()
	if err != nil {
		return object.Metadata{}, object.Document{}, err
	}
	meta, doc, err := object.ParseWhole(value)
	if err == nil && meta.URL != "" && meta.URL.Canonical() != o.url.Canonical() {
		err = refuse(message.CodeError, "the answer is about another object")
	}
	if err == nil && meta.Reporter != "" && m.o.Remote != nil {
		err = m.verifyReporter(ctx, o.url, meta.Reporter)
	}
	meta.URL, meta.Childrens = o.url, names(meta.Childrens)
	return meta, doc, err
}

// adopt makes the value in an answer the object's, tells the followers where it is another, and applies the updates
// that came meanwhile. m.mu is held.
func (m *Manager) adopt(o *observed, meta object.Metadata, doc object.Document) error {
	same := meta.Version == o.meta.Version && meta.Created == o.meta.Created
	if err := m.become(&o.replica, meta, doc); err != nil {
		return err
	}
	if !same {
		o.tellAll()
	}
	early := o.early
	o.joining, o.early, o.bytes = false, nil, 0
	for i := range early {
		m.take(o, early[i])
	}
	return nil
}

// verifyReporter refuses an object that names a component of another runtime than its own as its reporter.
func (m *Manager) verifyReporter(ctx context.Context, url, reporter message.URL) error {
	remote := m.o.Remote(url)
	if remote == "" {
		return nil // it is not known any more: the next subscribe looks it up
	}
	if err := m.verify(ctx, remote, reporter); codeOf(err) == message.CodeForbidden {
		return fmt.Errorf("%s names %s as its reporter: %w", url, reporter, err)
	}
	return nil
}
