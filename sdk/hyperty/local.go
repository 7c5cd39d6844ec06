package hyperty

import (
	"context"
	"errors"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// Local makes a Hyperty in the runtime's own process. attach registers it there; it has deliver called for every
// message that comes for it, in order. runtime is the runtime's URL.
func Local(ctx context.Context, runtime message.URL, attach func(ctx context.Context, deliver message.Handler) (Attachment, error)) (*Hyperty, error) {
	var attachment Attachment
	attached := make(chan struct{}) // closed when attachment may be read
	bus := minibus.New(minibus.Options{Out: func(ctx context.Context, m message.Message) error {
		return attachment.Post(ctx, m)
	}})
	got, err := attach(ctx, func(ctx context.Context, m message.Message) {
		select {
		case <-attached:
			bus.Deliver(ctx, m)
		case <-ctx.Done():
		}
	})
	if err != nil {
		bus.Close()
		return nil, err
	}
	attachment = got
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
