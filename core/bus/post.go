package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Post carries a message of one of the core's own components; see [message.Bus]. With a ctx that has ended Post does
// what can be done without waiting for anybody; where that is not enough it does nothing, and the error is ctx's.
func (b *MessageBus) Post(ctx context.Context, m message.Message) error {
	b.requests.Number(&m)
	if err := m.Check(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return b.postNow(ctx, m)
	}
	b.trace.Message(trace.Post, m, trace.Event{})
	r := b.watch.Receipt(m.From, m.ID)
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
	return b.resolve(ctx, m)
}

// postNow is Post for a ctx that has ended.
func (b *MessageBus) postNow(ctx context.Context, m message.Message) error {
	b.mu.RLock()
	forwarded := len(b.forwards[m.To.Canonical()]) > 0
	b.mu.RUnlock()
	if forwarded {
		return ctx.Err() // to several, each of which may be behind
	}
	r := b.watch.Receipt(m.From, m.ID)
	if b.requests.Answer(m) {
		b.trace.Message(trace.Post, m, trace.Event{})
		r.Taken()
		return nil
	}
	n, full := b.listeners.HandNow(m.To, m, r, func() { b.trace.Message(trace.Post, m, trace.Event{}) })
	switch {
	case full, n == 0 && (m.To.Within(b.runtime) || m.Publication() && m.From.Within(b.runtime)):
		return ctx.Err()
	case n > 0:
		b.trace.Message(trace.Deliver, m, trace.Event{})
		return nil
	}
	return b.resolve(ctx, m)
}

// Request posts m and waits for its response; see [message.Bus].
func (b *MessageBus) Request(ctx context.Context, m message.Message) (message.Message, error) {
	return b.requests.Do(ctx, m, b.Post, nil)
}

// ErrForged: the `from` of a message is not its owner's. The error also is a [*message.ResponseError] then.
var ErrForged = errors.New("forged from")

// forgedError is [ErrForged].
type forgedError struct{ response *message.ResponseError }

func (e forgedError) Error() string   { return e.response.Error() }
func (e forgedError) Unwrap() []error { return []error{e.response, ErrForged} }

// From carries a message of the component owner: a stub or an application. A `from` that is not owner's is refused by
// [ErrForged].
func (b *MessageBus) From(ctx context.Context, owner message.URL, m message.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	if b.authority != nil {
		if err := b.authority.VerifyLocal(owner, m.From); err != nil {
			err = forgedError{&message.ResponseError{Code: message.CodeForbidden, From: b.runtime, Description: err.Error()}}
			b.log.Warn("forged from refused", "owner", owner, "from", m.From, "to", m.To, "error", err)
			return err
		}
	}
	return b.Post(ctx, m)
}

// resolve sends m out of the house.
func (b *MessageBus) resolve(ctx context.Context, m message.Message) error {
	if b.resolver == nil {
		return fmt.Errorf("no way out for %s: the bus is not connected", m.To)
	}
	if ctx.Err() == nil {
		b.trace.Message(trace.Resolve, m, trace.Event{})
	}
	route, err := b.resolver.Resolve(ctx, m)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.refuse(ctx, m, err)
		return nil
	}
	if ctx.Err() != nil {
		if route.Remote == "" {
			return ctx.Err() // a plug-in may be busy
		}
		b.trace.Message(trace.Post, m, trace.Event{})
		b.trace.Message(trace.Resolve, m, trace.Event{})
	}
	b.trace.Message(trace.Resolved, m, trace.Event{Via: route.Door, Peer: route.Remote, Value: route.Why})
	if m.Crossed(route.Stub) || m.Crossed(route.Door) {
		b.log.Debug("message would go round in a circle", "to", m.To, "via", m.Via)
		b.refuse(ctx, m, &message.ResponseError{Code: message.CodeError, From: b.runtime,
			Description: fmt.Sprintf("%s: the message has crossed %s already", m.To, route.Stub)})
		return nil
	}
	now := ctx.Err() != nil
	err = b.leave(ctx, route, m)
	if err == nil && !now {
		err = ctx.Err()
	}
	return err
}

// leave hands m to the way out and tells its sender where that fails. The error is ErrBackpressure: the caller is who is
// told.
func (b *MessageBus) leave(ctx context.Context, route Route, m message.Message) error {
	b.trace.Message(trace.Forward, m, trace.Event{Via: route.Door, Peer: route.Remote})
	err := b.out.Forward(ctx, route, m)
	switch {
	case err == nil:
	case errors.Is(err, message.ErrBackpressure):
		return err
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // the runtime ends, or the sender gave up
	default:
		b.log.Debug("message not sent", "to", m.To, "type", m.Type, "way", route.Door, "error", err)
		b.refuse(ctx, m, err)
	}
	return nil
}
