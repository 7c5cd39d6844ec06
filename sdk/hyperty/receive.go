package hyperty

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Handle makes f the handler: it is called for every message that comes, one at a time and in order; the context ends
// when the hyperty is closed. Responses and what belongs to data objects do not come here. f replaces the handler
// before it; messages that came earlier have waited for the first. A handler that waits for the answer of a hyperty
// that in turn asks this one waits for itself: it should answer from another goroutine.
func (h *Hyperty) Handle(f func(ctx context.Context, m Received)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.handler == nil
	h.handler, h.listening, h.deaf = f, true, false
	(*locked)(h).publish()
	if first && f != nil {
		select {
		case <-h.handling:
		default:
			close(h.handling)
		}
	}
}

// HandleResponses has f called for every response that no request waits for: refusals of messages that were sent
// without waiting, and late answers. [OutcomeOf] says what became of the message: that it is certainly not delivered, or in doubt.
// Without it they are dropped.
func (h *Hyperty) HandleResponses(f func(ctx context.Context, m message.Message)) {
	h.mu.Lock()
	h.responses = f
	(*locked)(h).publish()
	h.mu.Unlock()
}

// Receive waits for the next message; it is for hyperties without a handler. The message is delivered with its [Received.Done], or
// with the next Receive, whoever calls that, or with Close. Goroutines that receive side by side call [Received.Defer] first. The error
// is ctx's, or [Hyperty.Err].
func (h *Hyperty) Receive(ctx context.Context) (Received, error) {
	h.next()
	h.mu.Lock()
	h.listening, h.deaf = true, false
	h.mu.Unlock()
	select {
	case m := <-h.incoming:
		return h.got(m), nil
	default:
	}
	select {
	case m := <-h.incoming:
		return h.got(m), nil
	case <-h.done:
		return Received{}, h.Err()
	case <-ctx.Done():
		return Received{}, ctx.Err()
	}
}

// got notes that the application has a message: the next Receive ends it.
func (h *Hyperty) got(m Received) Received {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.given.open[m.number]; here {
		h.given.received = append(h.given.received, m.number)
	}
	return m
}

// take is the bus's listener at the hyperty's address. Responses, messages of data objects and all others go different ways.
func (h *Hyperty) take(ctx context.Context, m message.Message, r minibus.Receipt) {
	with := h.handlers.Load()
	switch {
	case m.Type == message.Response:
		if with.responses != nil {
			with.responses(ctx, m)
		}
	case h.ofObjects(&m):
		if !with.objects && m.Type == message.Create { // else the syncher listens here too
			refusal := m.Refuse(message.CodeNotFound, "%s observes no data objects", h.url)
			_ = h.bus.Post(ctx, refusal)
			r.Refused(message.CodeNotFound)
			return
		}
	case with.handler != nil:
		h.handle(ctx, with.handler, h.numbered(m, r))
		return
	default:
		if why := h.wait(ctx, h.numbered(m, r)); why != nil {
			h.unheard(ctx, m, r, why)
		}
		return
	}
	r.Taken()
}

// numbered is a message as the application gets it.
func (h *Hyperty) numbered(m message.Message, r minibus.Receipt) Received {
	h.turn.count++
	return Received{m, h, r, h.turn.count}
}

// handle calls the handler. The message is delivered when it has returned, unless the handler has said something else.
func (h *Hyperty) handle(ctx context.Context, handler func(context.Context, Received), m Received) {
	h.turn.handled.Store(2 * m.number)
	handler(ctx, m)
	if h.turn.handled.CompareAndSwap(2*m.number, 0) {
		m.receipt.Taken()
	}
}

// patience is how long the first message waits for a hyperty that neither handles nor receives. Then it and those
// after it are refused: they would hold up the data objects, for which alone the hyperty may be there.
const patience = 10 * time.Second

var errUnheard = errors.New("takes no messages")

// wait keeps m until somebody receives it, or a handler is there for it, which it then calls. The error says why nobody took it.
func (h *Hyperty) wait(ctx context.Context, m Received) error {
	h.mu.Lock()
	listening, deaf := h.listening, h.deaf
	(*locked)(h).keep(m) // before anybody can have received it
	h.given.offered = m.number
	h.mu.Unlock()
	received, over := false, false
	defer func() {
		if !over {
			h.offered(m, received)
		}
	}()
	var late <-chan time.Time
	switch {
	case deaf:
		return errUnheard
	case !listening:
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	handling := h.handling
	for {
		select {
		case h.incoming <- m:
			received = true
			return nil
		case <-handling:
			h.mu.Lock()
			handler := h.handler
			h.mu.Unlock()
			if handler != nil {
				over = true // the handler may defer it, which keeps it anew
				h.offered(m, false)
				h.handle(ctx, handler, m)
				return nil
			}
			handling = nil // the handler was taken away again
		case <-late:
			h.mu.Lock()
			h.deaf = !h.listening
			deaf := h.deaf
			h.mu.Unlock()
			if deaf {
				return errUnheard
			}
		case <-h.done:
			return ErrClosed
		case <-ctx.Done():
			return ErrClosed
		}
	}
}

// offered is told that a message does not wait any more for somebody who receives it, and whether the application has received it.
func (h *Hyperty) offered(m Received, received bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.given.offered = 0
	if !received {
		delete(h.given.open, m.number)
	}
}

// unheard answers a message that nobody takes.
func (h *Hyperty) unheard(ctx context.Context, m message.Message, r minibus.Receipt, why error) {
	switch {
	case r.By != nil && why == errUnheard:
		r.Failed(m, &message.ResponseError{Code: message.CodeTimeout, From: h.url, Description: fmt.Sprintf("%s takes no messages", h.url)})
	case r.By != nil:
		r.Failed(m, &message.ResponseError{Code: message.CodeNotFound, From: h.url, Description: fmt.Sprintf("%s has gone; it did not take the message", h.url)})
	case why == errUnheard:
		_ = h.bus.Post(ctx, m.Undelivered(&message.ResponseError{Code: message.CodeTimeout, Description: fmt.Sprintf("%s takes no messages", h.url)}))
	}
}

// ofObjects tells whether m belongs to the synchronisation of data objects: an invitation, the end of an object, a
// change, a request to observe one (specification, "Reporter–Observer protocol").
func (h *Hyperty) ofObjects(m *message.Message) bool {
	from := m.From.Canonical()
	switch m.Type {
	case message.Create:
		return strings.HasSuffix(string(from), "/subscription")
	case message.Update, message.Delete, message.Forward:
		return from == h.syncManager
	}
	return false
}
