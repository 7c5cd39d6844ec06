package bus

import (
	"context"
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Handle is how a component outside of the core, such as an application, posts on the MessageBus. Of the addresses that it
// posts to again and again it remembers the way, as long as the bus would come to the same again: then a message goes that
// way at once. That is for the usual message alone, and while nobody watches; every other goes step by step, with the same
// end. Its methods may be called from many goroutines.
type Handle struct {
	bus   *MessageBus
	owner message.URL
	known [knownRoutes]known
}

// knownRoutes is how many addresses of one component are remembered, at most.
const knownRoutes = 8

// known is one place of the addresses that are remembered. An address has one place, by its end. Whichever is there stays
// until another one comes twice in a row, so that two that share a place do not drive each other out with every message.
type known struct {
	route atomic.Pointer[knownRoute]
	next  atomic.Uint64 // the hash of the address that came last, where it was not there
}

// knownRoute is what is remembered of an address. It is not changed.
type knownRoute struct {
	to     message.URL
	joined uint64 // of the bus, when nobody in this runtime listened to the address
	way    Way
}

// Handle makes the handle of the component owner.
func (b *MessageBus) Handle(owner message.URL) *Handle { return &Handle{bus: b, owner: owner} }

// Post is [MessageBus.From] for the component of the handle. m gets an ID where it has none, and is not kept.
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

// TryPost is Post without waiting for anybody. Where it would have to, the error is [message.ErrWouldBlock].
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

// way is the way to an address that is remembered here and holds; nil: there is none.
func (k *known) way(b *MessageBus, to message.URL) Way {
	if r := k.route.Load(); r != nil && r.holds(b, to) {
		return r.way
	}
	return nil
}

// holds tells whether the bus would have a message to the address go the way that is remembered.
func (r *knownRoute) holds(b *MessageBus, to message.URL) bool {
	return r.to == to && r.joined == b.joined() && r.way.Holds()
}

// stays notes that the address which is here has come again.
func (k *known) stays() {
	if k.next.Load() != 0 {
		k.next.Store(0)
	}
}

// usual tells whether a message is one whose way may be known: from the component itself to its destination alone, and
// nobody watches it. The types that it leaves out may end in this runtime.
func (h *Handle) usual(m *message.Message, r minibus.Receipt) bool {
	switch m.Type {
	case message.Response, message.Subscribe, message.Unsubscribe:
		return false
	}
	return m.From == h.owner && len(m.Via) == 0 && r.By == nil && !h.bus.trace.Watched()
}

// place is where an address is remembered, if it is: near ones, as of numbered hyperties, differ in their ends.
func (h *Handle) place(to message.URL) *known {
	n := len(to)
	if n < 2 {
		return &h.known[0]
	}
	return &h.known[(uint(n)+uint(to[n-1])+uint(to[n-2])*7)%knownRoutes]
}

// remember keeps the way to an address to which a usual message was just posted, if it was the second in a row and there
// is one.
func (h *Handle) remember(k *known, to message.URL) {
	b := h.bus
	if hash := maphash.String(b.seed, string(to)); b.ways == nil || k.next.Swap(hash) != hash {
		return
	}
	r := &knownRoute{to: to, joined: b.joined()} // read first, so that a listener which joins from now on is noticed
	if r.way = b.ways.Way(h.owner, to); r.way != nil && b.passes(to) {
		k.route.Store(r)
	}
}

// joined is another number when somebody has begun to listen to an address, or subscribed to it.
func (b *MessageBus) joined() uint64 { return b.listeners.Joined() + b.subscribed.Load() }

// passes tells whether this runtime has no part in messages to an address but to find the way for them: it is not one of
// its components', nobody listens to it, and nobody has subscribed to it. That holds while joined is the same.
func (b *MessageBus) passes(at message.URL) bool {
	return len(b.subscribers(at)) == 0 && !at.Within(b.runtime) && !b.listeners.Has(at)
}
