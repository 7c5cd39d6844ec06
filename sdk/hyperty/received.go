package hyperty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/plainjson"
	"github.com/protofly/protofly/sdk/message"
)

// Received is a message that came for a hyperty, and the way to answer it. It is delivered, which its sender may be told, when the
// handler that it was given to has returned; see [Received.Defer] and [Received.Done].
type Received struct {
	message.Message
	hyperty *Hyperty
	receipt minibus.Receipt
	number  uint64 // of the hyperty; 0: it is not to be settled
}

// given are the messages that the application has and is not done with, but for the one that its handler has now.
type given struct {
	open     map[uint64]Received // messages that came out of Receive, or were deferred, by number
	received []uint64            // those of Receive that the next Receive ends
	offered  uint64              // the number of the one in open that waits to be received, which take settles itself if it is not; 0: none
}

// turn is whose turn it is.
type turn struct {
	count   uint64        // messages that the handler, or Receive, was given; take's alone
	handled atomic.Uint64 // the number of the message that the handler has now, doubled; + 1: Done or Defer was called
}

// Value is the body's member "value", as the specification's types carry it; nil where there is none.
func (r Received) Value() json.RawMessage {
	var body struct {
		Value json.RawMessage `json:"value"`
	}
	if r.Decode(&body) != nil {
		return nil
	}
	return body.Value
}

// Text is the body's value where that is a string, else the JSON of the value, else of the body: for people.
func (r Received) Text() string {
	value := r.Value()
	var text string
	switch {
	case value == nil:
		return string(r.Body)
	case json.Unmarshal(value, &text) == nil:
		return text
	}
	return string(value)
}

// Answer answers the message with code 200 and a value, which may be nil. Whoever sent it without waiting finds the
// answer in [Hyperty.HandleResponses].
func (r Received) Answer(ctx context.Context, value any) error {
	return r.respond(ctx, message.CodeOK, value)
}

func (r Received) respond(ctx context.Context, code int, value any) error {
	var raw any
	if value != nil {
		encoded, err := plainjson.Marshal(value)
		if err != nil {
			return fmt.Errorf("answer to %s: the value is no JSON: %w", r.From, err)
		}
		raw = json.RawMessage(encoded)
	}
	return r.answer(ctx, r.Respond(code, raw))
}

// answer posts the response to the message. Where it cannot be carried, who asked is told at once.
func (r Received) answer(ctx context.Context, m message.Message) error {
	err := m.Check()
	if err == nil {
		return r.hyperty.bus.Post(ctx, m)
	}
	err = fmt.Errorf("answer to %s: %w", r.From, err)
	code := message.CodeError
	if errors.Is(err, message.ErrTooLarge) {
		code = message.CodeTooLarge
	}
	return errors.Join(err, r.hyperty.bus.Post(ctx, r.Message.Refuse(code, "%s has an answer that cannot be carried: %v", r.hyperty.url, err)))
}

// Refuse answers the message with a code of 300 to 599 and the reason. Another code is an error, and answers nothing.
func (r Received) Refuse(ctx context.Context, code int, reason string) error {
	if code < 300 || code > 599 {
		return fmt.Errorf("refuse the message from %s: the code %d is none of a refusal: use 300 to 599", r.From, code)
	}
	return r.answer(ctx, r.Message.Refuse(code, "%s", reason))
}

// Defer has the message stay undelivered when the handler returns, until [Received.Done]: for a handler that goes on with it in
// another goroutine, so that others are handled meanwhile. It takes its place in the window until then (see "Limits" in the package's
// documentation). A message of [Hyperty.Receive] that is deferred is not done with the next Receive. What is deferred and not done
// when the hyperty ends is in doubt for its sender.
func (r Received) Defer() {
	h := r.hyperty
	if h == nil || r.number == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.given.open[r.number]; here {
		h.given.received = slices.DeleteFunc(h.given.received, func(n uint64) bool { return n == r.number })
	} else if h.turn.handled.CompareAndSwap(2*r.number, 2*r.number+1) {
		(*locked)(h).keep(r)
	}
}

// Done says that the message is delivered: before its handler returns, or after [Received.Defer]. Calling it again changes nothing.
func (r Received) Done() {
	h := r.hyperty
	if h == nil || r.number == 0 {
		return
	}
	h.mu.Lock()
	_, here := h.given.open[r.number]
	delete(h.given.open, r.number)
	h.given.received = slices.DeleteFunc(h.given.received, func(n uint64) bool { return n == r.number })
	h.mu.Unlock()
	if here || h.turn.handled.CompareAndSwap(2*r.number, 2*r.number+1) {
		r.receipt.Taken()
	}
}

// keep notes a message that is not done when it has been given to the application.
func (h *locked) keep(r Received) {
	if h.given.open == nil {
		h.given.open = map[uint64]Received{}
	}
	r.Body = nil
	h.given.open[r.number] = r
}

// next is told that the application asks for another message, or for none any more: those that came out of Receive are done.
func (h *Hyperty) next() {
	h.mu.Lock()
	var done []Received
	for _, number := range h.given.received {
		done = append(done, h.given.open[number])
		delete(h.given.open, number)
	}
	h.given.received = h.given.received[:0]
	h.mu.Unlock()
	for _, r := range done {
		r.receipt.Taken()
	}
}

// forsake reports what the application has and is not done with: that is in doubt.
func (h *Hyperty) forsake() {
	h.mu.Lock()
	open := h.given.open
	h.given.open = nil
	if waits, is := open[h.given.offered]; is { // the application does not have it
		delete(open, waits.number)
		(*locked)(h).keep(waits)
	}
	h.mu.Unlock()
	for _, r := range open {
		r.receipt.Failed(r.Message, &message.ResponseError{Code: message.CodeUnavailable, State: message.StateInDoubt, From: h.url,
			Description: fmt.Sprintf("in doubt whether it was delivered: %s has gone", h.url)})
	}
}
