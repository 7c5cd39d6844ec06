package bus

import (
	"context"
	"errors"

	"github.com/protofly/protofly/sdk/message"
)

// Undelivered tells the sender of m, a component of this runtime, that m was given up on its way out. It answers neither
// responses nor publications.
func (b *MessageBus) Undelivered(ctx context.Context, m message.Message, err error) {
	b.refuse(ctx, m, err)
}

// refuse tells the sender of m why m was refused. It answers neither responses nor publications.
func (b *MessageBus) refuse(ctx context.Context, m message.Message, err error) {
	b.tracker.Refused(&m, err)
	if m.Type == message.Response || m.Publication() {
		return
	}
	if err := b.local(ctx, refusal(m, err)); err != nil {
		b.log.Debug("nobody to tell", "from", m.From, "to", m.To, "error", err)
	}
}

// refusal makes the response with err.
func refusal(m message.Message, err error) message.Message {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return m.Refuse(known.Code, "%s", known.Description)
	}
	return m.Refuse(message.CodeError, "%v", err)
}
