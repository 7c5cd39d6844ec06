package bus

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Arrival is a message that a remote runtime sent.
type Arrival struct {
	Remote, Door message.URL // the runtime, and the door that the message came in by
	Message      message.Message
	Receipt      minibus.Receipt
	Wait         bool // Accept may wait
	Again        bool // it has been tried before without waiting
}

// Arrive takes a message that the runtime remote sent, through the door; see [MessageBus.Accept]. It waits while the
// inbox of the receiver is full.
func (b *MessageBus) Arrive(ctx context.Context, remote, door message.URL, m message.Message) {
	b.Accept(ctx, &Arrival{Remote: remote, Door: door, Message: m, Wait: true})
}

// Accept takes a message that a remote runtime sent. It is delivered here or answered with 404; it is never sent on. A
// `from` that is not the remote runtime's gets a 403 response. The receipt is settled when its receiver has taken it, or
// it was answered. Where something would have to be waited for, such as room in the receiver's inbox, and a.Wait does not
// allow that, Accept returns false and has done nothing.
func (b *MessageBus) Accept(ctx context.Context, a *Arrival) bool {
	m := a.Message
	if !a.Again {
		b.trace.Message(trace.Arrive, m, trace.Event{Peer: a.Remote, Via: a.Door})
	}
	now := ctx
	if !a.Wait {
		now = b.ended
	}
	if err := m.Check(); err != nil {
		return b.reject(now, a, &message.ResponseError{Code: message.CodeBadRequest, From: b.runtime, Description: err.Error()})
	}
	if b.authority != nil {
		if err := b.authority.Verify(now, a.Remote, m.From); err != nil {
			if ctx.Err() != nil {
				return true
			}
			if !a.Wait && errors.Is(err, context.Canceled) { // it has to be asked for
				return false
			}
			b.log.Warn("forged from refused", "runtime", a.Remote, "from", m.From, "to", m.To, "error", err)
			return b.reject(now, a, forbidden(b.runtime, err))
		}
	}
	if b.requests.Answer(m) {
		a.Receipt.Taken()
		return true
	}
	var n int
	var err error
	if a.Wait {
		n, err = b.listeners.Hand(ctx, m.To, m, a.Receipt)
	} else {
		var full bool
		if n, full = b.listeners.HandNow(m.To, m, a.Receipt, nil); full {
			return false
		}
	}
	switch {
	case n > 0:
		b.trace.Message(trace.Deliver, m, trace.Event{})
	case err == nil:
		return b.reject(now, a, unknown(m.To))
	}
	return true
}

// AcceptRun is Accept without waiting for messages that have all the same but their IDs and bodies. It returns how many of
// them, from the first, have been delivered; with the others nothing was done, and they are for Accept, which also says
// what is wrong with them. The caller may use run again when AcceptRun has returned.
func (b *MessageBus) AcceptRun(remote message.URL, run []minibus.Handed) int {
	if len(run) == 0 || run[0].Message.Type == message.Response || b.trace.Watched() {
		return 0
	}
	m := &run[0].Message
	for i := range run {
		if run[i].Message.Check() != nil {
			run = run[:i]
			break
		}
	}
	if b.authority != nil && b.authority.Verify(b.ended, remote, m.From) != nil {
		return 0
	}
	return b.listeners.HandRun(m.To, run)
}

// reject answers a message that is not delivered. It is false where the answer has to wait and may not.
func (b *MessageBus) reject(ctx context.Context, a *Arrival, err error) bool {
	if !b.Answer(ctx, a.Remote, a.Message, err) && !a.Wait {
		return false
	}
	a.Receipt.Refused(code(err))
	return true
}

// ArriveFromNode takes a message that a Message Node itself sent, through its stub: a response, or a notice. The
// caller has checked that its `from` is a back end of that node's.
func (b *MessageBus) ArriveFromNode(ctx context.Context, stub message.URL, m message.Message) {
	b.trace.Message(trace.Arrive, m, trace.Event{Via: stub})
	if err := m.Check(); err != nil {
		b.log.Warn("the Message Node sent a malformed message", "stub", stub, "error", err)
		return
	}
	if m.Type == message.Response {
		b.watch.Answered(stub, &m)
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

// code is the code of the response that err becomes.
func code(err error) int {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return known.Code
	}
	return message.CodeError
}

// Answer tells the runtime remote why its message m was not done. A response is never answered, nor is a publication.
// It is false where there was no way for the answer until ctx ended.
func (b *MessageBus) Answer(ctx context.Context, remote message.URL, m message.Message, err error) bool {
	if m.Type == message.Response || m.Publication() || b.out == nil {
		return true
	}
	if err := b.out.Forward(ctx, Route{Remote: remote, Why: "the answer to its message"}, refusal(m, err)); err != nil {
		b.log.Debug("answer not sent", "runtime", remote, "to", m.From, "error", err)
		return !errors.Is(err, message.ErrBackpressure)
	}
	return true
}
