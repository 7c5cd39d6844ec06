package syncmanager

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// watch enters an object of another runtime and listens at U/changes. m.mu is held.
func (m *Manager) watch(url message.URL) *observed {
	o := &observed{joining: true}
	o.replica = replica{url: url, followers: make(map[message.URL]*feed)}
	m.observed[url.Canonical()] = o
	o.stop = m.bus.Listen(object.Changes(url), func(_ context.Context, msg message.Message) { m.changed(o, msg) })
	return o
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
