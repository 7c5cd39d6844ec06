package bus

import (
	"context"
	"errors"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Undelivered tells the sender of m, a component of this runtime, that m was given up on its way out. A response is
// never answered, nor is a publication. r is settled when the sender has heard it, or nobody will.
func (b *MessageBus) Undelivered(ctx context.Context, m message.Message, err error, r minibus.Receipt) {
	b.tell(ctx, m, err, r)
}

// refuse tells the sender of m why m was refused. It answers neither responses nor publications.
func (b *MessageBus) refuse(ctx context.Context, m message.Message, err error) {
	b.tell(ctx, m, err, minibus.Receipt{})
}

// tell is refuse with a receipt for the response.
func (b *MessageBus) tell(ctx context.Context, m message.Message, err error, r minibus.Receipt) {
	b.tracker.Refused(&m, err)
	if m.Type == message.Response || m.Publication() {
		r.Taken()
		return
	}
	if err := b.local(ctx, refusal(m, err), r); err != nil {
		b.log.Debug("nobody to tell", "from", m.From, "to", m.To, "error", err)
	}
}

// refusal makes the response with err.
func refusal(m message.Message, err error) message.Message {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return m.Undelivered(known)
	}
	return m.Undelivered(&message.ResponseError{Code: message.CodeError, Description: message.Reason(err)})
}
