package minibus

import (
	"context"
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

// TakingHandler is a handler that settles the receipt itself, when the message was taken: this may be after the handler has
// returned.
type TakingHandler func(ctx context.Context, m message.Message, r Receipt)

// Taken says that the message was taken: its handler has returned.
func (r Receipt) Taken() { r.Refused(message.CodeOK) }

// Refused says that the message was not taken, and that its sender has been answered with the code.
func (r Receipt) Refused(code int) {
	if r.By != nil {
		r.By.Settled(r.Number, r.Cost, code)
	}
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
	m     message.Message // of a failure
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
	}
}
