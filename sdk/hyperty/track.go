package hyperty

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk/message"
)

// DeliveryState is the state of a message that is tracked.
type DeliveryState string

// The states of a delivery. All but Queued are final.
const (
	// Queued: the runtime has the message, and its receiver has not taken it yet: it waits in this runtime, is on the way, or
	// waits in the receiver's runtime.
	Queued DeliveryState = "queued"
	// Delivered: the receiver has taken it: its handler has returned, or it has called [Received.Done], or asked for the message
	// after it ([Hyperty.Receive]). Of a response: the request has it. Where the receiver is a function of a Message Node: it
	// has answered.
	Delivered DeliveryState = "delivered"
	// Expired: no acknowledgement came within the time to live. The reason says whether the message may have arrived all the
	// same.
	Expired DeliveryState = "expired"
	// InDoubt: it may have been delivered, and nobody will ever know: a restart on the way lost the report, or the receiver had
	// it and ended before it was done with it.
	InDoubt DeliveryState = "in doubt"
	// Refused: it was not delivered, certainly. The code says why: 404 nobody has the address (any more); 403 not allowed, or not
	// trusted; 408 its receiver is away, or takes no messages; 504 its receiver cannot be reached.
	Refused DeliveryState = "refused"
)

// Outcome is what became of a message.
type Outcome struct {
	State  DeliveryState
	Code   int    // as in a response to the message; 0 where there is none
	Reason string // for people; "" where there is nothing to say
}

func (o Outcome) String() string {
	switch {
	case o.Reason != "" && o.Code != 0:
		return fmt.Sprintf("%s (%d): %s", o.State, o.Code, printable.Line(o.Reason))
	case o.Reason != "":
		return fmt.Sprintf("%s: %s", o.State, printable.Line(o.Reason))
	case o.Code != 0:
		return fmt.Sprintf("%s (%d)", o.State, o.Code)
	}
	return string(o.State)
}

// Err is nil for a message that was delivered; else a *[NotDelivered].
func (o Outcome) Err() error {
	if o.State == Delivered {
		return nil
	}
	return &NotDelivered{o}
}

// NotDelivered is an outcome that is not Delivered, as an error.
type NotDelivered struct{ Outcome }

func (e *NotDelivered) Error() string { return e.Outcome.String() }

// OutcomeOf is what became of a message that was not tracked, by a response to it: see [Hyperty.HandleResponses], and the error of
// [Hyperty.Request]. An answer, of whatever code, says that the message was delivered. A runtime of an earlier version does not say
// which responses are answers: then 404 and 504 are Refused. The error says that m is no response.
func OutcomeOf(m message.Message) (Outcome, error) {
	r, err := m.Result()
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{State: DeliveryState(r.State), Code: r.Code, Reason: r.Description}
	switch {
	case r.State != "":
	case r.Code == message.CodeNotFound, r.Code == message.CodeUnavailable:
		o.State = Refused
	default:
		o.State = Delivered
	}
	return o, nil
}

// MaxTracked is how many messages of one hyperty may be tracked and without a final state at the same time.
const MaxTracked = 1024

// ErrTooManyTracked says that a hyperty tracks [MaxTracked] messages already.
var ErrTooManyTracked = errors.New("too many messages are tracked: wait for some of them")

// Delivery is a message that is tracked.
type Delivery struct {
	ID message.ID
	To message.URL

	mu      sync.Mutex
	outcome Outcome
	done    chan struct{}
}

// Outcome returns the present state.
func (d *Delivery) Outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outcome
}

// Wait waits for the final state. Where ctx ends first, the error is ctx's and the outcome is the present one.
func (d *Delivery) Wait(ctx context.Context) (Outcome, error) {
	select {
	case <-d.done:
		return d.Outcome(), nil
	case <-ctx.Done():
		return d.Outcome(), ctx.Err()
	}
}

// settle sets the final state; the first counts.
func (d *Delivery) settle(o Outcome) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outcome.State != Queued {
		return false
	}
	d.outcome = o
	close(d.done)
	return true
}

// tracker is a bus that can tell what becomes of messages; see [New].
type tracker interface {
	Track(ctx context.Context, m *message.Message, tell func(Outcome)) error
}

// Track is [Hyperty.Post] for a message whose sender wants to know what becomes of it: whether its receiver has taken
// it, or why not. It does not wait for that: see [Delivery.Wait]. At most [MaxTracked] messages of a hyperty are tracked
// at a time. An error means that the message was not posted.
func (h *Hyperty) Track(ctx context.Context, m message.Message) (*Delivery, error) {
	return h.track(ctx, m, h.reserve)
}

// track is Track; reserve takes a slot for the message.
func (h *Hyperty) track(ctx context.Context, m message.Message, reserve func(ctx context.Context) error) (*Delivery, error) {
	if err := h.Err(); err != nil {
		return nil, fmt.Errorf("%s to %s: %w", m.Type, m.To, err)
	}
	bus, ok := h.bus.(tracker)
	if !ok {
		return nil, fmt.Errorf("%s to %s: the bus of this hyperty cannot track messages", m.Type, m.To)
	}
	if m.From == "" {
		m.From = h.url
	}
	to, err := message.ParseURL(string(m.To))
	if err != nil {
		return nil, err
	}
	m.To = to
	if err := reserve(ctx); err != nil {
		return nil, fmt.Errorf("%s to %s: %w", m.Type, m.To, err)
	}
	d := &Delivery{To: m.To, outcome: Outcome{State: Queued}, done: make(chan struct{})}
	err = bus.Track(ctx, &m, func(o Outcome) {
		if d.settle(o) {
			h.untrack()
		}
	})
	if err != nil {
		if d.settle(Outcome{State: Refused}) {
			h.untrack()
		}
		return nil, err
	}
	d.ID = m.ID
	return d, nil
}

func (h *Hyperty) untrack() {
	h.mu.Lock()
	h.tracked.give()
	h.mu.Unlock()
}

// SendTracked is [Hyperty.Send] for a message whose sender wants to know what becomes of it; see [Hyperty.Track].
func (h *Hyperty) SendTracked(ctx context.Context, to message.URL, t message.Type, body any) (*Delivery, error) {
	raw, err := encodeBody(body)
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", to, err)
	}
	return h.Track(ctx, message.Message{Type: t, To: to, Body: raw})
}
