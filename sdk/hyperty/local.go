package hyperty

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// Local makes a Hyperty in the runtime's own process. attach registers it there; it has deliver called for every
// message that comes for it, in order; a message is taken when the application's handler has returned. runtime is the
// runtime's URL.
func Local(ctx context.Context, runtime message.URL, attach func(ctx context.Context, deliver minibus.TakingHandler) (Attachment, error)) (*Hyperty, error) {
	var attachment Attachment
	attached := make(chan struct{}) // closed when attachment may be read
	bus := &localBus{}
	bus.MiniBus = minibus.New(minibus.Options{Out: func(ctx context.Context, m message.Message) error {
		return attachment.Post(ctx, m)
	}})
	got, err := attach(ctx, func(ctx context.Context, m message.Message, r minibus.Receipt) {
		select {
		case <-attached:
			if bus.Hand(ctx, m, r) {
				return
			}
		case <-ctx.Done():
		}
		r.Failed(m, &message.ResponseError{Code: message.CodeNotFound, From: m.To, Description: fmt.Sprintf("nobody listens to %s", m.To)})
	})
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
	close(attached)
	return h, nil
}

// localBus is the bus of a hyperty in the runtime's own process.
type localBus struct {
	*minibus.MiniBus
	attachment Attachment
}

func (b *localBus) track(ctx context.Context, m *message.Message, tell func(Outcome)) error {
	b.Number(m)
	if err := m.Check(); err != nil {
		return err
	}
	return b.attachment.Watch(ctx, *m, tell)
}

// Post is the MiniBus's, without its way to Out: every message of the hyperty takes it.
func (b *localBus) Post(ctx context.Context, m message.Message) error {
	b.Number(&m)
	if err := m.Check(); err != nil {
		return err
	}
	return b.attachment.Post(ctx, m)
}
