package bus

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// deliver gives m to all listeners of its address: components of this runtime and remote runtimes that subscribed.
func (b *MessageBus) deliver(ctx context.Context, m message.Message, r minibus.Receipt) (int, error) {
	forwards := b.subscribers(m.To)
	at := b.trace.Now() // what the listener does comes after it
	n, err := b.listeners.Hand(ctx, m.To, m, b.here(&m, r))
	if n > 0 {
		b.trace.Message(trace.Deliver, m, trace.Event{At: at})
	}
	if err == nil && len(forwards) > 0 {
		if n == 0 {
			r.Taken() // without a listener here it is a publication to remote runtimes
		}
		n += b.publish(ctx, forwards, m)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s has not taken what it was sent: %w", message.ErrBackpressure, m.To, err)
	}
	return n, err
}

// here is the receipt of m for a listener in this runtime. Nobody is told of a response or a publication that is not taken.
func (b *MessageBus) here(m *message.Message, r minibus.Receipt) minibus.Receipt {
	if r.By != nil || m.Type == message.Response || m.Publication() {
		return r
	}
	return b.tracker.Here(r)
}

// local gives m to the request or the listeners that it is for in this runtime; nowhere else. They settle the receipt, or nobody is there.
func (b *MessageBus) local(ctx context.Context, m message.Message, r minibus.Receipt) error {
	if b.requests.Answer(m) {
		r.Taken()
		return nil
	}
	at := b.trace.Now() // as in deliver
	n, err := b.listeners.Hand(ctx, m.To, m, r)
	if n == 0 {
		r.Refused(message.CodeNotFound)
	}
	if err == nil && n == 0 {
		return unknown(m.To)
	}
	if n > 0 {
		b.trace.Message(trace.Deliver, m, trace.Event{At: at})
	}
	return err
}

// publish gives m to remote runtimes that subscribed, and returns their number. It gives it first to those that have room,
// and then waits for the others.
func (b *MessageBus) publish(ctx context.Context, to []*forward, m message.Message) int {
	var full []*forward
	for _, f := range to {
		if !f.offer(b.listeners, &m) {
			full = append(full, f)
		}
	}
	if len(full) > 0 {
		bounded, cancel := context.WithTimeout(ctx, forwardPatience)
		defer cancel()
		for _, f := range full {
			f.wait(bounded, b.listeners, &m)
		}
	}
	return len(to)
}

func unknown(to message.URL) error {
	return &message.ResponseError{Code: message.CodeNotFound, From: to, Description: fmt.Sprintf("nobody listens to %s", to)}
}
