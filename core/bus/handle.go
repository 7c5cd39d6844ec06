package bus

import (
	"context"
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Handle is how a component outside of the core, such as an application, posts on the MessageBus. For addresses that it posts
// to repeatedly it remembers the way, while the bus would find the same one again: then a message takes that way at once.
// This is for usual messages only (see usual), and while they are not traced; every other message takes all steps, with the
// same result. Its methods may be called from many goroutines.
type Handle struct {
	bus   *MessageBus
	owner message.URL
	known [knownRoutes]known
}

// knownRoutes is the number of addresses that one component can have remembered.
const knownRoutes = 8

// known is one place for an address. The end of an address determines its place. The address in a place stays until another
// one comes twice in a row, so that two that share a place do not drive each other out with every message.
type known struct {
	route atomic.Pointer[knownRoute]
	next  atomic.Uint64 // the hash of the last address that came and is not the one in this place
}

// knownRoute is what is remembered of an address. It is never changed.
type knownRoute struct {
	to     message.URL
	joined uint64 // the bus's joined, when nobody in this runtime listened to the address
	way    Way
}

// Handle makes the handle of the component owner.
func (b *MessageBus) Handle(owner message.URL) *Handle { return &Handle{bus: b, owner: owner} }

// Post is [MessageBus.From] for the component of the handle. It gives m an ID if it has none, and does not keep m.
func (h *Handle) Post(ctx context.Context, m *message.Message) error {
	named := !m.ID.IsZero()
	r, err := h.bus.enter(m)
	if err != nil {
		return err
	}
	if !named || !h.usual(m, r) {
		return h.bus.from(ctx, h.owner, *m, r)
	}
	k := h.place(m.To)
	if way := k.way(h.bus, m.To); way != nil {
		err := way.Post(ctx, *m)
		if err == nil {
			k.stays()
		}
		if err == nil || errors.Is(err, message.ErrBackpressure) {
			return err
		}
	}
	if err = h.bus.from(ctx, h.owner, *m, r); err == nil {
		h.remember(k, m.To)
	}
	return err
}

// TryPost is Post, but returns [message.ErrWouldBlock] where Post would wait.
func (h *Handle) TryPost(m *message.Message) error {
	named := !m.ID.IsZero()
	r, err := h.bus.enter(m)
	if err != nil {
		return err
	}
	usual := named && h.usual(m, r)
	k := h.place(m.To)
	if usual {
		if way := k.way(h.bus, m.To); way != nil {
			err := way.TryPost(*m)
			if err == nil {
				k.stays()
			}
			if err == nil || errors.Is(err, message.ErrWouldBlock) {
				return err
			}
		}
	}
	if err = h.bus.verifyLocal(h.owner, m); err != nil {
		return err
	}
	if err = h.bus.tryPost(*m, r); err == nil && usual {
		h.remember(k, m.To)
	}
	return err
}

// way returns the way to an address that is remembered here and still valid; nil: there is none.
func (k *known) way(b *MessageBus, to message.URL) Way {
	if r := k.route.Load(); r != nil && r.holds(b, to) {
		return r.way
	}
	return nil
}

// holds tells whether the bus would send a message to the address by the remembered way.
func (r *knownRoute) holds(b *MessageBus, to message.URL) bool {
	return r.to == to && r.joined == b.joined() && r.way.Holds()
}

// stays notes that the remembered address has come again.
func (k *known) stays() {
	if k.next.Load() != 0 {
		k.next.Store(0)
	}
}

// usual tells whether a message may take a remembered way: its `from` is the component itself, it has crossed no stub yet
// (Via), and it is neither tracked nor traced. The types that usual leaves out may end in this runtime.
func (h *Handle) usual(m *message.Message, r minibus.Receipt) bool {
	switch m.Type {
	case message.Response, message.Subscribe, message.Unsubscribe:
		return false
	}
	return m.From == h.owner && len(m.Via) == 0 && r.By == nil && !h.bus.trace.Watched()
}

// place returns the place for an address. Similar addresses, as of numbered hyperties, differ in their ends.
func (h *Handle) place(to message.URL) *known {
	n := len(to)
	if n < 2 {
		return &h.known[0]
	}
	return &h.known[(uint(n)+uint(to[n-1])+uint(to[n-2])*7)%knownRoutes]
}

// remember keeps the way to an address to which a usual message was just posted, if that was the second one in a row and
// there is a way.
func (h *Handle) remember(k *known, to message.URL) {
	b := h.bus
	if hash := maphash.String(b.seed, string(to)); b.ways == nil || k.next.Swap(hash) != hash {
		return
	}
	r := &knownRoute{to: to, joined: b.joined()} // joined is read first, so that holds notices a listener that joins from now on
	if r.way = b.ways.Way(h.owner, to); r.way != nil && b.passes(to) {
		k.route.Store(r)
	}
}

// joined changes when a component begins to listen to an address, or a remote runtime subscribes to one.
func (b *MessageBus) joined() uint64 { return b.listeners.Joined() + b.subscribed.Load() }

// passes tells whether messages to an address pass this runtime: it is not an address of one of its components, nobody
// listens to it, and nobody has subscribed to it. The answer is valid while joined is the same.
func (b *MessageBus) passes(at message.URL) bool {
	return len(b.subscribers(at)) == 0 && !at.Within(b.runtime) && !b.listeners.Has(at)
}
