package hyperty

import (
	"context"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// takingBus is a bus on which a listener can say when it has taken a message.
type takingBus interface {
	ListenTaking(at message.URL, h minibus.TakingHandler) (stop func())
}

// releasingBus is a bus whose address is a name that can be given up.
type releasingBus interface {
	Release(ctx context.Context) error
}

// New makes a Hyperty of a bus on which url is its address. end, which may be nil, is called by [Hyperty.Close]: it
// unregisters the address and closes the bus. Applications get theirs from a [Runtime].
//
// [Hyperty.Track] needs a bus that also has the method
//
//	Track(ctx context.Context, m *message.Message, tell func(Outcome)) error
//
// It gives m an ID where it has none, returns when the bus has taken m, and has tell called once, with the final state. Where it
// returns an error, tell is not called.
//
// [Hyperty.Release] needs a bus that also has the method
//
//	Release(ctx context.Context) error
//
// It does what end does, and gives the name up.
func New(bus message.Bus, url, runtime message.URL, end func(ctx context.Context) error) *Hyperty {
	h := &Hyperty{
		bus: bus, url: url, runtime: runtime, syncManager: runtime.Join("sm").Canonical(), end: end,
		incoming: make(chan Received),
		done:     make(chan struct{}),
		handling: make(chan struct{}),
	}
	(*locked)(h).publish() // nobody else has it yet
	if b, ok := bus.(takingBus); ok {
		h.stop = b.ListenTaking(url, h.take)
	} else {
		h.stop = bus.Listen(url, func(ctx context.Context, m message.Message) { h.take(ctx, m, minibus.Receipt{}) })
	}
	return h
}
