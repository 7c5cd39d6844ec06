// Package inprocess makes hyperties of applications that are in the runtime's own process.
package inprocess

import (
	"context"
	"errors"

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
}

// New makes a hyperty. attach registers it, and has every message to it given to the receiver, in order; a message is taken
// when the application's handler has returned. runtime is the runtime's URL. The error is attach's.
func New(ctx context.Context, runtime message.URL, attach func(ctx context.Context, to minibus.Receiver) (Attachment, error)) (*hyperty.Hyperty, error) {
	var attachment Attachment
	bus := &localBus{attached: make(chan struct{})}
	bus.MiniBus = minibus.New(minibus.Options{Inbox: inbox, Out: func(ctx context.Context, m message.Message) error {
		return attachment.Post(ctx, m)
	}})
	got, err := attach(ctx, bus)
	if err != nil {
		bus.Close()
		return nil, err
	}
	attachment, bus.attachment = got, got
	h := hyperty.New(bus, got.URL(), runtime, func(ctx context.Context) error {
		err := got.Close(ctx)
		bus.Close()
		if errors.Is(err, minibus.ErrClosed) {
			return nil
		}
		return err
	})
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
	return b.MiniBus.TryHandRun(run)
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
	b.Number(m)
	return b.attachment.PostTracked(ctx, *m, tell)
}

// Post is the MiniBus's, without its way to Out: every message of the hyperty takes it. The runtime validates it.
func (b *localBus) Post(ctx context.Context, m message.Message) error {
	b.Number(&m)
	return b.attachment.Post(ctx, m)
}
