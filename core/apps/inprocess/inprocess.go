// Package inprocess makes hyperties of applications that are in the runtime's own process.
package inprocess

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Attachment is a registered hyperty as the runtime sees it: the hyperty posts through it. The messages to the hyperty go to
// the receiver that was given at the registration.
type Attachment interface {
	URL() message.URL
	// Post validates a message of the hyperty and carries it; see [message.Bus]. A from that is not the hyperty's is refused.
	Post(ctx context.Context, m message.Message) error
	// PostTracked is Post for a message with an ID whose sender learns its outcome: tell is called once, with a final state.
	// tell must not wait, and may be called before PostTracked returns. If PostTracked returns an error, tell is not called
	// any more.
	PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error
	// Close ends the registration.
	Close(ctx context.Context) error
	// Release is Close, and gives the hyperty's name up.
	Release(ctx context.Context) error
}

// New makes a hyperty. attach registers it, and has every message to it given to the receiver, in order; a message is taken
// when the application's handler has returned. runtime is the runtime's URL. The error is attach's.
func New(ctx context.Context, runtime message.URL, attach func(ctx context.Context, to minibus.Receiver) (Attachment, error)) (*hyperty.Hyperty, error) {
	bus := &localBus{attached: make(chan struct{})}
	bus.MiniBus = minibus.New(minibus.Options{Inbox: inbox, Out: bus.Post})
	got, err := attach(ctx, bus)
	if err != nil {
		bus.Close()
		return nil, err
	}
	bus.attachment = got
	bus.Own(got.URL())
	h := hyperty.New(bus, got.URL(), runtime, func(ctx context.Context) error { return bus.end(ctx, got.Close) })
	close(bus.attached)
	return h, nil
}

// inbox is how many messages wait for a hyperty: it is the only queue before its handler.
const inbox = 2 * minibus.DefaultInbox

// localBus is the bus of one hyperty. The goroutine that delivers a message in the runtime puts it into an inbox of this bus
// itself.
type localBus struct {
	*minibus.MiniBus
	attachment Attachment
	attached   chan struct{} // closed when the hyperty listens and attachment may be read
	checkers   sync.Pool     // of *message.Checker: one for each processor, so that nobody who posts waits for another
}

var _ minibus.Receiver = (*localBus)(nil)

// Hand waits until the hyperty listens, then for room.
func (b *localBus) Hand(ctx context.Context, m message.Message, r minibus.Receipt) (taken bool) {
	select {
	case <-b.attached:
		return b.MiniBus.Hand(ctx, m, r)
	case <-ctx.Done():
		return false
	}
}

// TryHand takes nothing before the hyperty listens.
func (b *localBus) TryHand(m message.Message, r minibus.Receipt) (taken bool) {
	return b.listens() && b.MiniBus.TryHand(m, r)
}

// TryHandRun takes nothing before the hyperty listens.
func (b *localBus) TryHandRun(run []minibus.Delivery) int {
	if !b.listens() {
		return 0
	}
	n := b.MiniBus.TryHandRun(run)
	if n == 0 && len(run) > 0 && run[0].Message.Type != message.Response && b.Nobody(run[0].Message.To) {
		for n = range run {
			b.refuse(&run[n])
		}
		n = len(run)
	}
	return n
}

// refuse refuses a message to an address below the hyperty's at which nobody listens.
func (b *localBus) refuse(d *minibus.Delivery) {
	to := d.Message.To
	d.Receipt.Failed(d.Message, &message.ResponseError{Code: message.CodeNotFound, From: to, Description: fmt.Sprintf("nobody listens to %s", to)})
}

// Release ends the hyperty and gives its name up; see [hyperty.New].
func (b *localBus) Release(ctx context.Context) error { return b.end(ctx, b.attachment.Release) }

// end ends the handlers, whose contexts end, in half of the time that ctx has; then the registration.
func (b *localBus) end(ctx context.Context, attachment func(ctx context.Context) error) error {
	handlers, cancel := context.WithCancel(ctx)
	if until, bounded := ctx.Deadline(); bounded {
		handlers, cancel = context.WithTimeout(ctx, time.Until(until)/2)
	}
	busy := b.Drain(handlers)
	cancel()
	err := attachment(ctx)
	if errors.Is(err, minibus.ErrClosed) {
		err = nil
	}
	return errors.Join(busy, err)
}

// Drain hands back what waits for the handlers, whose contexts end, and waits for them in the time of ctx. The hyperty takes nothing
// any more. The error says that a handler has not returned.
func (b *localBus) Drain(ctx context.Context) error {
	closed := make(chan struct{})
	go func() { // ends when the application's handler does
		defer close(closed)
		b.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close: a handler has not returned; what it has is in doubt: %w", ctx.Err())
	}
}

func (b *localBus) listens() bool {
	select {
	case <-b.attached:
		return true
	default:
		return false
	}
}

// Track numbers a message and posts it; see [hyperty.New].
func (b *localBus) Track(ctx context.Context, m *message.Message, tell func(hyperty.Outcome)) error {
	if err := b.check(m); err != nil {
		return err
	}
	b.Number(m)
	return b.attachment.PostTracked(ctx, *m, tell)
}

// Post is the MiniBus's, without its way to Out: every message of the hyperty takes it.
func (b *localBus) Post(ctx context.Context, m message.Message) error {
	if err := b.check(&m); err != nil {
		return err
	}
	b.Number(&m)
	return b.attachment.Post(ctx, m)
}

// check refuses what an application in another process could not post either: nobody reads it before its receiver. The error is a
// *message.FieldError.
func (b *localBus) check(m *message.Message) error {
	c, _ := b.checkers.Get().(*message.Checker)
	if c == nil {
		c = &message.Checker{}
	}
	err := c.Check(m)
	b.checkers.Put(c)
	return err
}
