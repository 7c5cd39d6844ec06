package bus

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Arrive takes a message that the runtime remote sent without a session, through the door; see [MessageBus.Accept].
func (b *MessageBus) Arrive(ctx context.Context, remote, door message.URL, m message.Message) {
	b.trace.Message(trace.Arrive, m, trace.Event{Peer: remote, Via: door})
	b.Accept(ctx, remote, &minibus.Delivery{Message: m})
}

// Accept takes a message that the runtime remote sent. It delivers it here or answers it with 404, and never sends it on. A
// malformed message is answered with 400, one with a `from` that is not the remote runtime's with 403. The receipt is settled
// when the receiver has taken the message, or when it was answered. Accept waits while the inbox of the receiver is full,
// until ctx ends. d belongs to the caller again when Accept has returned.
func (b *MessageBus) Accept(ctx context.Context, remote message.URL, d *minibus.Delivery) {
	m := &d.Message
	if err := m.Check(); err != nil {
		b.reject(ctx, remote, d, b.malformed(err))
		return
	}
	if b.authority != nil {
		if err := b.authority.Verify(ctx, remote, m.From); err != nil {
			if ctx.Err() == nil {
				b.sayForged(remote, m, err)
				b.reject(ctx, remote, d, forbidden(b.runtime, err))
			}
			return
		}
	}
	if b.requests.Answer(*m) {
		d.Receipt.Taken()
		return
	}
	n, err := b.listeners.Hand(ctx, m.To, *m, d.Receipt)
	switch {
	case n > 0:
		b.trace.Message(trace.Deliver, *m, trace.Event{})
	case err == nil:
		b.reject(ctx, remote, d, unknown(m.To))
	}
}

// TryAccept is Accept without waiting, for messages that differ only in their IDs and bodies. It returns how many of them,
// from the first, it has taken as Accept does. With the next one it would have to wait, so it has done nothing with that one
// and those behind it. The deliveries belong to the caller again when it has returned.
func (b *MessageBus) TryAccept(remote message.URL, run []minibus.Delivery) (taken int) {
	for taken < len(run) {
		n, more := b.tryAccept(remote, run[taken:])
		if taken += n; !more {
			break
		}
	}
	return taken
}

// tryAccept is TryAccept for the first messages of run: as many as can be treated alike. more: the rest may be tried.
func (b *MessageBus) tryAccept(remote message.URL, run []minibus.Delivery) (taken int, more bool) {
	m := &run[0].Message
	valid := 0
	var wrong error
	for valid < len(run) && wrong == nil {
		if wrong = run[valid].Message.Check(); wrong == nil {
			valid++
		}
	}
	if valid == 0 {
		return b.tryReject(remote, &run[0], b.malformed(wrong))
	}
	if b.authority != nil {
		if err := b.authority.TryVerify(remote, m.From); err != nil {
			if errors.Is(err, message.ErrWouldBlock) { // Verify would have to ask the Domain Registry
				return 0, false
			}
			if taken, more = b.tryReject(remote, &run[0], forbidden(b.runtime, err)); more {
				b.sayForged(remote, m, err)
			}
			return taken, more
		}
	}
	if b.requests.Answer(*m) {
		run[0].Receipt.Taken()
		return 1, true
	}
	if m.Type == message.Response { // each may be the answer to a request
		valid = 1
	}
	taken = b.listeners.TryHandRun(m.To, run[:valid])
	if b.trace.Watched() {
		for i := range run[:taken] {
			b.trace.Message(trace.Deliver, run[i].Message, trace.Event{})
		}
	}
	if taken == 0 && !b.listeners.Has(m.To) {
		return b.tryReject(remote, &run[0], unknown(m.To))
	}
	return taken, taken == valid
}

// reject answers a message that is not delivered here.
func (b *MessageBus) reject(ctx context.Context, remote message.URL, d *minibus.Delivery, err error) {
	if d.Receipt.Refuse(d.Message, err) {
		return
	}
	b.Answer(ctx, remote, d.Message, err)
	d.Receipt.Refused(code(err))
}

// tryReject is reject without waiting. It takes one message, or none if its answer would have to wait.
func (b *MessageBus) tryReject(remote message.URL, d *minibus.Delivery, err error) (taken int, more bool) {
	if d.Receipt.Refuse(d.Message, err) {
		return 1, true
	}
	if b.answers(&d.Message) {
		sent := b.out.TryForward(answerRoute(remote), refusal(d.Message, err), minibus.Receipt{})
		if errors.Is(sent, message.ErrWouldBlock) {
			return 0, false
		}
		b.sayUnanswered(remote, &d.Message, sent)
	}
	d.Receipt.Refused(code(err))
	return 1, true
}

// ArriveFromNode takes a message that a Message Node itself sent, through its stub: a response, or an event. The caller has
// checked that its `from` is a function of that node.
func (b *MessageBus) ArriveFromNode(ctx context.Context, stub message.URL, m message.Message) {
	b.trace.Message(trace.Arrive, m, trace.Event{Via: stub})
	if err := m.Check(); err != nil {
		b.log.Warn("the Message Node sent a malformed message", "stub", stub, "error", err)
		return
	}
	if m.Type == message.Response {
		b.tracker.Answered(stub, &m)
	}
	if err := b.local(ctx, m, minibus.Receipt{}); err != nil {
		b.log.Debug("nobody waits for what the Message Node sent", "stub", stub, "from", m.From, "to", m.To, "type", m.Type)
	}
}

func (b *MessageBus) malformed(err error) error {
	return &message.ResponseError{Code: message.CodeBadRequest, From: b.runtime, Description: message.Reason(err)}
}

func forbidden(from message.URL, err error) error {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return err
	}
	return &message.ResponseError{Code: message.CodeForbidden, From: from, Description: message.Reason(err)}
}

func (b *MessageBus) sayForged(remote message.URL, m *message.Message, err error) {
	b.log.Warn("forged from refused", "runtime", remote, "from", m.From, "to", m.To, "error", err)
}

// code returns the code of the response that is made from err.
func code(err error) int {
	var known *message.ResponseError
	if errors.As(err, &known) {
		return known.Code
	}
	return message.CodeError
}

// Answer tells the runtime remote why its message m was refused. It answers neither responses nor publications. If there is
// no way for the answer until ctx ends, it drops the answer.
func (b *MessageBus) Answer(ctx context.Context, remote message.URL, m message.Message, err error) {
	if b.answers(&m) {
		b.sayUnanswered(remote, &m, b.out.Forward(ctx, answerRoute(remote), refusal(m, err), minibus.Receipt{}))
	}
}

// answers tells whether the sender of m, at a remote runtime, gets an answer if m is refused.
func (b *MessageBus) answers(m *message.Message) bool {
	return m.Type != message.Response && !m.Publication() && b.out != nil
}

func (b *MessageBus) sayUnanswered(remote message.URL, m *message.Message, err error) {
	if err != nil {
		b.log.Debug("answer not sent", "runtime", remote, "to", m.From, "error", err)
	}
}

func answerRoute(remote message.URL) Route {
	return Route{Remote: remote, Why: "the answer to its message"}
}
