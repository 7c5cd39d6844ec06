package syncmanager

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// kick serves a reporter that ends an observer's observation.
func (m *Manager) kick(msg message.Message, body protocol.Request) error {
	if len(body.Reason) > protocol.MaxReason {
		return protocol.Refuse(message.CodeBadRequest, "the reason is too long")
	}
	l := m.lock()
	defer l.unlock()
	r, err := l.reports(body.Resource, msg.From)
	if err != nil {
		return err
	}
	end := protocol.End{Why: protocol.ByKick, Reason: body.Reason}
	remote, was := r.Kick(body.Subscriber, end)
	if !was {
		return protocol.Refuse(message.CodeNotFound, string(body.Subscriber)+" does not observe "+string(r.URL()))
	}
	l.settle(r.Replica, &r.packer)
	l.note(r)
	if remote != "" {
		l.task(msg.From, func(ctx context.Context) { m.post(ctx, protocol.Kicked(r.URL(), remote, body.Subscriber, end)) })
		l.stopForwarding(r, remote)
	}
	l.answer(msg.RespondBody(message.Encode(protocol.Value{Code: message.CodeOK, Resource: r.URL(), Observers: message.URLs{body.Subscriber}})))
	return nil
}

// stopForwarding ends the forwarding of U/changes to a runtime without observers, when what was published before is on its way.
func (m locked) stopForwarding(r *reported, remote message.URL) {
	m.spawn(func(ctx context.Context) {
		backoff.Sleep(ctx, time.Second)
		l := m.lock()
		defer l.unlock()
		l.unforward(r, remote)
	})
}

// kicked takes from a remote sync manager that one of the observers here is none any more.
func (m *Manager) kicked(msg message.Message) {
	var body protocol.Ended
	if msg.Decode(&body) != nil || msg.From.Canonical() != object.Subscription(body.Resource).Canonical() || len(body.Reason) > protocol.MaxReason {
		m.refuse(msg, protocol.Refuse(message.CodeForbidden, "only the reporter's runtime ends an observation"))
		return
	}
	l := m.lock()
	defer l.unlock()
	if o := l.observed[body.Resource.Canonical()]; o != nil {
		o.Lose(body.Subscriber, protocol.End{Why: protocol.ByKick, Reason: body.Reason})
		l.settle(o.Replica, &o.packer)
		l.dropIfIdle(o)
	}
}
