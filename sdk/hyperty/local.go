package hyperty

import (
	"context"
	"errors"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Local makes a Hyperty in the runtime's own process. attach registers it there and has every message that comes for it
// given to the receiver, in order; a message is taken when the application's handler has returned. runtime is the
// runtime's URL.
func Local(ctx context.Context, runtime message.URL, attach func(ctx context.Context, to minibus.Receiver) (Attachment, error)) (*Hyperty, error) {
	var attachment Attachment
	bus := &localBus{attached: make(chan struct{})}
	bus.MiniBus = minibus.New(minibus.Options{Inbox: localInbox, Out: func(ctx context.Context, m message.Message) error {
		return attachment.Post(ctx, m)
	}})
	got, err := attach(ctx, bus)
	if err != nil {
		bus.Close()
		return nil, err
	}
	attachment, bus.attachment = got, got
	h := New(bus, got.URL(), runtime, func(ctx context.Context) error {
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

// localInbox is how many messages wait for a hyperty in the runtime's process: it is the only queue before its handler.
const localInbox = 2 * minibus.DefaultInbox

// localBus is the bus of a hyperty in the runtime's own process. Messages come into its inboxes from who delivers in the
// runtime, without another goroutine between.
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

func (b *localBus) track(ctx context.Context, m *message.Message, tell func(Outcome)) error {
	b.Number(m)
	return b.attachment.Watch(ctx, *m, tell)
}

// Post is the MiniBus's, without its way to Out: every message of the hyperty takes it. The runtime validates it.
func (b *localBus) Post(ctx context.Context, m message.Message) error {
	b.Number(&m)
	return b.attachment.Post(ctx, m)
}
