package syncmanager

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager/internal/kept"
	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/core/syncmanager/internal/reporting"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// create serves a create: of an object, or an invitation to one.
func (m *Manager) create(msg message.Message) error {
	var body protocol.Request
	if err := msg.Decode(&body); err != nil {
		return err
	}
	if len(body.Authorise) > 0 {
		return m.invite(msg, body)
	}
	doc, err := body.CheckCreate()
	if err != nil {
		return err
	}
	if done, err := m.resume(msg, body, doc); done || err != nil {
		return err
	}
	started := m.task(msg.From, func(ctx context.Context) {
		r, err := m.register(ctx, msg, body, doc)
		m.release(body.Resource) // before the answer: who has that may go on at once
		if err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.post(ctx, protocol.Created(msg, r.URL(), r.Children(), nil))
	})
	if !started {
		m.release(body.Resource)
	}
	return nil
}

// release gives up the reservation of a wished address.
func (m *Manager) release(wished message.URL) {
	l := m.lock()
	defer l.unlock()
	delete(l.creating, wished.Canonical())
}

// register has the object registered, enters it, and has the node told.
func (m *Manager) register(ctx context.Context, msg message.Message, body protocol.Request, doc object.Document) (*reported, error) {
	l := m.lock()
	left := l.leaving[body.Resource.Canonical()]
	l.unlock()
	if left != nil { // an application that is back at once
		<-left // ends with the sync manager, too
	}
	lives, grace, err := m.lifeOf(msg.From, body.Value)
	if err != nil {
		return nil, err
	}
	url, err := m.o.Objects.RegisterObject(ctx, registry.Object{
		URL: body.Resource, Scheme: body.Scheme, Name: body.Value.Name, Schema: body.Schema, Reporter: msg.From,
		Resources: body.Value.Resources, Private: body.Private, Kept: body.Value.Keep,
		Wished: body.Wish && body.Resource != "" && !msg.From.Within(m.o.Runtime),
	})
	if err != nil {
		return nil, err
	}
	r := &reported{forwards: make(map[message.URL]func()), keep: body.Value.Keep, private: body.Private}
	r.Object = reporting.New(url, msg.From, body.Value.Childrens, m.messages, m.usage)
	r.Life(lives)
	meta := body.Value
	meta.URL, meta.Reporter, meta.Runtime, meta.Schema = url, msg.From, m.o.Runtime, body.Schema
	meta.Status, meta.Childrens, meta.Grace, meta.Away, meta.Data = "live", r.Children(), grace, "", nil
	twice, err := m.enterKept(r, meta, doc)
	if err != nil {
		if !twice { // else it stays registered for the one who has it
			_ = m.o.Objects.UnregisterObject(ctx, url)
		}
		return nil, err
	}
	return r, nil
}

// enterKept is enter, when the disk has the object where it is to be kept.
func (m *Manager) enterKept(r *reported, meta object.Metadata, doc object.Document) (twice bool, err error) {
	if !r.keep {
		return m.enter(r, meta, doc)
	}
	whole := meta
	whole.Data = doc.JSON()
	if err := m.disk.folder.Write(kept.Record{Object: whole, Private: r.private}); err != nil {
		return false, protocol.Refuse(message.CodeError, "the runtime cannot keep it: "+message.Reason(err))
	}
	if twice, err = m.enter(r, meta, doc); err != nil && !twice {
		err = errors.Join(err, m.disk.folder.Remove(r.URL()))
	}
	return twice, err
}

// enter makes r known, listens at its addresses, and has the node told. Where that is refused, twice tells whether the address
// is another object's that is reported here.
func (m *Manager) enter(r *reported, meta object.Metadata, doc object.Document) (twice bool, err error) {
	l := m.lock()
	defer l.unlock()
	key, url := r.URL().Canonical(), r.URL()
	twice = l.reported[key] != nil
	switch {
	case l.closed:
		return twice, protocol.Refuse(message.CodeUnavailable, "the runtime ends")
	case twice || l.observed[key] != nil:
		return twice, protocol.Refuse(message.CodeConflict, string(url)+" is known already")
	}
	if err := r.Begin(meta, doc); err != nil {
		return false, err
	}
	l.reported[key] = r
	r.listens = append(m.listenForChildren(r),
		m.bus.Listen(object.Subscription(url), func(_ context.Context, msg message.Message) { m.remoteRequest(r, msg) }),
		m.bus.Listen(url, func(_ context.Context, msg message.Message) { m.remoteRequest(r, msg) }),
		m.bus.Listen(object.Changes(url), func(_ context.Context, msg message.Message) { m.published(url, msg) }),
	)
	l.settle(r.Replica, &r.packer)
	l.announce(message.Subscribe, m.o.Domain, meta.Reporter, url, object.Subscription(url))
	return false, nil
}

// invite serves an invitation: each observer is asked from U/subscription, and the inviter gets its answer
// (specification, "Invite").
func (m *Manager) invite(msg message.Message, body protocol.Request) error {
	l := m.lock()
	defer l.unlock()
	r, err := l.reports(body.Resource, msg.From)
	if err != nil {
		return err
	}
	if len(body.Authorise) != 1 {
		return protocol.Refuse(message.CodeBadRequest, "an invitation is for one observer")
	}
	invitation := protocol.Invitation(r.Metadata(), body.Authorise[0], msg.P2P)
	l.task(msg.From, func(ctx context.Context) {
		if _, err := m.ask(ctx, invitation); err != nil {
			m.post(ctx, protocol.Refusal(msg, err))
			return
		}
		m.post(ctx, msg.Respond(message.CodeOK, nil))
	})
	return nil
}
