package minibus

import (
	"context"
	"fmt"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Receipt goes with a message to its listener, for a deliverer that wants to know whether the message was taken. The zero
// value is for messages that are not tracked. Exactly one of its methods is called for a message, once.
type Receipt struct {
	By     Taker // called with the result; nil: the result is not needed
	Number uint64
	Cost   uint32 // what By counts for the message until it is settled; 0: By does not bound what waits
	Source uint32 // the remote runtime that sent the message, as a number that it cannot choose; 0: none
}

// Taker is told what becomes of messages. Its methods must not wait, and may be called from any goroutine.
type Taker interface {
	// Settled is called when the message was taken (code 200), or when it was not and its sender has been answered with the
	// code.
	Settled(number uint64, cost uint32, code int)
	// Failed is called when nobody will take m and its sender has not been told.
	Failed(number uint64, cost uint32, m message.Message, why error)
}

// Refuser is a [Taker] that may have another way to tell the sender of a message that it is refused than an answer to it.
type Refuser interface {
	// Refuse is called instead of Settled or Failed, when m is refused. It is false where the sender has to be answered: then
	// nothing has happened.
	Refuse(number uint64, cost uint32, m message.Message, why error) (told bool)
}

// TakingHandler is a handler that settles the receipt itself: when the message was really taken, which may be after it
// has returned.
type TakingHandler func(ctx context.Context, m message.Message, r Receipt)

// Taken says that the message was taken: its handler has returned.
func (r Receipt) Taken() { r.Refused(message.CodeOK) }

// Refused says that the message was not taken, and that its sender has been answered with the code.
func (r Receipt) Refused(code int) {
	if r.By != nil {
		r.By.Settled(r.Number, r.Cost, code)
	}
}

// Passed says that the listener has no use for m. What the other listeners at its address say of it counts; where none of them has a
// use for it either, it is refused as if nobody listened.
func (r Receipt) Passed(m message.Message) {
	if s, ok := r.By.(*shared); ok {
		s.done(0, m, nil)
		return
	}
	r.Failed(m, unusedError(m.To))
}

func unusedError(to message.URL) error {
	return &message.ResponseError{Code: message.CodeNotFound, From: to, Description: fmt.Sprintf("nobody at %s takes such messages", to)}
}

// Refuse settles the receipt of m, which is refused, where its owner has a way to tell the sender why. It is false where it has none:
// the sender is to be answered, and then the receipt is to be settled.
func (r Receipt) Refuse(m message.Message, why error) (told bool) {
	by, ok := r.By.(Refuser)
	return ok && by.Refuse(r.Number, r.Cost, m, why)
}

// Failed says that m will not be taken. The receipt's owner tells the sender why.
func (r Receipt) Failed(m message.Message, why error) {
	if r.By != nil {
		r.By.Failed(r.Number, r.Cost, m, why)
	}
}

// shared is the receipt of a message for several listeners: the message is taken when all are done with it and at least one
// took it.
type shared struct {
	of Receipt

	mu    sync.Mutex
	left  int
	taken bool
	code  int             // of a refusal
	m     message.Message // of a failure, or that was passed on
	why   error
}

// Settled reports the result of one listener.
func (s *shared) Settled(_ uint64, _ uint32, code int) { s.done(code, message.Message{}, nil) }

// Failed reports the result of one listener.
func (s *shared) Failed(_ uint64, _ uint32, m message.Message, why error) { s.done(0, m, why) }

// done counts one listener; why, or a code of 300 and above, says that it did not take the message.
func (s *shared) done(code int, m message.Message, why error) {
	s.mu.Lock()
	switch {
	case why != nil:
		s.m, s.why = m, why
	case code >= 300:
		s.code = code
	case code != 0:
		s.taken = true
	case s.why == nil && m.To != "":
		s.m = m
	}
	s.left--
	last := s.left == 0
	s.mu.Unlock()
	switch {
	case !last:
	case s.taken:
		s.of.Taken()
	case s.code != 0:
		s.of.Refused(s.code)
	case s.why != nil:
		s.of.Failed(s.m, s.why)
	default:
		s.of.Failed(s.m, unusedError(s.m.To))
	}
}
