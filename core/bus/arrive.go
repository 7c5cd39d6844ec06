package bus

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Arrive takes a message that the runtime remote sent, through the door. It is delivered here or answered with 404;
// it is never sent on. A `from` that is not remote's gets a 403 response. Arrive waits while the inbox of the
// receiver is full.
func (b *MessageBus) Arrive(ctx context.Context, remote, door message.URL, m message.Message) {
	b.trace.Message(trace.Arrive, m, trace.Event{Peer: remote, Via: door})
	if err := m.Check(); err != nil {
		b.answer(ctx, remote, m, &message.ResponseError{Code: message.CodeBadRequest, From: b.runtime, Description: err.Error()})
		return
	}
	if b.authority != nil {
		if err := b.authority.Verify(ctx, remote, m.From); err != nil {
			if ctx.Err() != nil {
				return
			}
			b.log.Warn("forged from refused", "runtime", remote, "from", m.From, "to", m.To, "error", err)
			b.answer(ctx, remote, m, forbidden(b.runtime, err))
			return
		}
	}
	if err := b.local(ctx, m); err != nil {
		b.answer(ctx, remote, m, err)
	}
}

// ArriveFromNode takes a message that a Message Node itself sent, through its stub: a response, or a notice. The
// caller has checked that its `from` is a back end of that node's.
func (b *MessageBus) ArriveFromNode(ctx context.Context, stub message.URL, m message.Message) {
	b.trace.Message(trace.Arrive, m, trace.Event{Via: stub})
	if err := m.Check(); err != nil {
		b.log.Warn("the Message Node sent a malformed message", "stub", stub, "error", err)
		return
	}
	if err := b.local(ctx, m); err != nil {
		b.log.Debug("nobody waits for what the Message Node sent", "stub", stub, "from", m.From, "to", m.To, "type", m.Type)
	}
}

func forbidden(from message.URL, err error) error {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return err
	}
	return &message.ResponseError{Code: message.CodeForbidden, From: from, Description: err.Error()}
}

// answer tells the runtime remote why its message m was not done. A response is never answered, nor is a publication.
func (b *MessageBus) answer(ctx context.Context, remote message.URL, m message.Message, err error) {
	if m.Type == message.Response || Publication(m) || b.out == nil {
		return
	}
	if err := b.out.Forward(ctx, Route{Remote: remote, Why: "the answer to its message"}, refusal(m, err)); err != nil {
		b.log.Debug("answer not sent", "runtime", remote, "to", m.From, "error", err)
	}
}
