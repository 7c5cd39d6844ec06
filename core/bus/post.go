package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// enter is what every message that is posted here passes once: it gets an ID if it has none, is validated, and the Tracker is
// asked about it.
func (b *MessageBus) enter(m *message.Message) (minibus.Receipt, error) {
	b.requests.Number(m)
	if err := m.Check(); err != nil {
		return minibus.Receipt{}, err
	}
	return b.tracker.Receipt(m.From, m.ID), nil
}

// Post carries a message of one of the core's own components; see [message.Bus]. ctx bounds how long Post waits.
func (b *MessageBus) Post(ctx context.Context, m message.Message) error {
	r, err := b.enter(&m)
	if err != nil {
		return err
	}
	return b.post(ctx, m, r)
}

// TryPost is Post, but returns [message.ErrWouldBlock] where Post would wait.
func (b *MessageBus) TryPost(m message.Message) error {
	r, err := b.enter(&m)
	if err != nil {
		return err
	}
	return b.tryPost(m, r)
}

// post is Post for a message that has entered.
func (b *MessageBus) post(ctx context.Context, m message.Message, r minibus.Receipt) error {
	b.trace.Message(trace.Post, m, trace.Event{})
	if b.requests.Answer(m) {
		r.Taken()
		return nil
	}
	n, err := b.deliver(ctx, m, r)
	if err != nil {
		return err
	}
	if n > 0 {
		return nil
	}
	if m.Publication() && m.From.Within(b.runtime) {
		r.Refused(message.CodeNotFound)
		return nil
	}
	if m.To.Within(b.runtime) {
		b.refuse(ctx, m, unknown(m.To))
		return nil
	}
	return b.resolve(ctx, m, r)
}

// tryPost is TryPost for a message that has entered. It leaves a message that is refused to post, which tells its sender:
// that may have to wait.
func (b *MessageBus) tryPost(m message.Message, r minibus.Receipt) error {
	if len(b.subscribers(m.To)) > 0 {
		return message.ErrWouldBlock // it is for several listeners, each of which may be behind
	}
	if b.requests.Answer(m) {
		b.trace.Message(trace.Post, m, trace.Event{})
		r.Taken()
		return nil
	}
	var before func()
	if b.trace.Watched() {
		before = func() { b.trace.Message(trace.Post, m, trace.Event{}) }
	}
	n, full := b.listeners.TryHand(m.To, m, b.here(&m, r), before)
	switch {
	case full, n == 0 && (m.To.Within(b.runtime) || m.Publication() && m.From.Within(b.runtime)):
		return message.ErrWouldBlock
	case n > 0:
		b.trace.Message(trace.Deliver, m, trace.Event{})
		return nil
	}
	return b.tryResolve(m, r)
}

// Request posts m and waits for its response; see [message.Bus].
func (b *MessageBus) Request(ctx context.Context, m message.Message) (message.Message, error) {
	return b.requests.Do(ctx, m, b.Post, nil)
}

// ErrForged: the `from` of a message is not its owner's. The error also is a [*message.ResponseError] then.
var ErrForged = errors.New("forged from")

// forgedError is an [ErrForged] with the response.
type forgedError struct{ response *message.ResponseError }

func (e forgedError) Error() string   { return e.response.Error() }
func (e forgedError) Unwrap() []error { return []error{e.response, ErrForged} }

// From carries a message of the component owner: a stub or an application. It refuses a `from` that is not owner's with
// [ErrForged].
func (b *MessageBus) From(ctx context.Context, owner message.URL, m message.Message) error {
	r, err := b.enter(&m)
	if err != nil {
		return err
	}
	return b.from(ctx, owner, m, r)
}

// from is From for a message that has entered.
func (b *MessageBus) from(ctx context.Context, owner message.URL, m message.Message, r minibus.Receipt) error {
	if err := b.verifyLocal(owner, &m); err != nil {
		return err
	}
	return b.post(ctx, m, r)
}

// verifyLocal refuses a `from` that is not owner's.
func (b *MessageBus) verifyLocal(owner message.URL, m *message.Message) error {
	if b.authority == nil {
		return nil
	}
	err := b.authority.VerifyLocal(owner, m.From)
	if err == nil {
		return nil
	}
	b.log.Warn("forged from refused", "owner", owner, "from", m.From, "to", m.To, "error", err)
	return forgedError{&message.ResponseError{Code: message.CodeForbidden, From: b.runtime, Description: message.Reason(err)}}
}

// resolve sends m out of this runtime.
func (b *MessageBus) resolve(ctx context.Context, m message.Message, r minibus.Receipt) error {
	if b.resolver == nil {
		return fmt.Errorf("no way out for %s: the bus is not connected", m.To)
	}
	b.trace.Message(trace.Resolve, m, trace.Event{})
	route, err := b.resolver.Resolve(ctx, m)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.refuse(ctx, m, err)
		return nil
	}
	b.trace.Message(trace.Resolved, m, trace.Event{Via: route.Door, Peer: route.Remote, Value: route.Why})
	if route.crossedBy(&m) {
		b.log.Debug("message would go round in a circle", "to", m.To, "via", m.Via)
		b.refuse(ctx, m, &message.ResponseError{Code: message.CodeError, From: b.runtime,
			Description: fmt.Sprintf("%s: the message has crossed %s already", m.To, route.Stub)})
		return nil
	}
	return b.leave(ctx, route, m, r)
}

// tryResolve is resolve without waiting. It leaves to resolve what the Resolver or the Forwarder refuses, since the sender
// must be told; and everything while there is a watcher, since a step's event is made at once and the last step may turn out
// to wait.
func (b *MessageBus) tryResolve(m message.Message, r minibus.Receipt) error {
	if b.resolver == nil || b.trace.Watched() {
		return message.ErrWouldBlock
	}
	route, err := b.resolver.TryResolve(m)
	if err != nil || route.Remote == "" || route.crossedBy(&m) { // without a Remote it is for a plug-in, which may be busy
		return message.ErrWouldBlock
	}
	if b.out.TryForward(route, m, r) != nil {
		return message.ErrWouldBlock
	}
	return nil
}

// leave passes m to the way out, and tells m's sender if that fails. It tells the caller instead, by its error, if the way is
// full ([message.ErrBackpressure]) or ctx has ended: then m has not left.
func (b *MessageBus) leave(ctx context.Context, route Route, m message.Message, r minibus.Receipt) error {
	b.trace.Message(trace.Forward, m, trace.Event{Via: route.Door, Peer: route.Remote})
	err := b.out.Forward(ctx, route, m, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, message.ErrBackpressure):
		return err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()): // the runtime ends, or the sender gave up
		return ctx.Err()
	}
	b.log.Debug("message not sent", "to", m.To, "type", m.Type, "way", route.Door, "error", err)
	b.refuse(ctx, m, err)
	return nil
}
