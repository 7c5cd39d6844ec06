package core

import (
	"context"
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk/message"
)

// streams remember, of the addresses that a hyperty posts to again and again, what the MessageBus and the Registry
// have said last, as long as they would say it once more: then a message goes into its session straight away. That
// is for the usual message alone, and while nobody watches; every other takes the long way, with the same end.
//
// An address has one place, by its hash. Who is there stays until another one comes twice in a row, so that two that
// share a place do not drive each other out with every message.
type streams struct{ places [streamPlaces]place }

type place struct {
	stream atomic.Pointer[stream]
	next   atomic.Uint64 // the hash of the address that came last, where it was not there
}

// streamPlaces is how many addresses of one hyperty are remembered, at most.
const streamPlaces = 8

// stream is what is remembered of an address. It is not changed.
type stream struct {
	to     message.URL
	joined uint64 // of the bus, when nobody in this runtime listened to the address
	way    registry.Standing
	line   *session.Line
}

var streamSeed = maphash.MakeSeed()

// place is where an address is remembered, if it is: near ones, as of numbered hyperties, differ in their ends.
func (all *streams) place(to message.URL) *place {
	n := len(to)
	if n < 2 {
		return &all.places[0]
	}
	return &all.places[(uint(n)+uint(to[n-1])+uint(to[n-2])*7)%streamPlaces]
}

// plain tells whether a message is one that a stream may take: from the hyperty itself to its destination alone, and
// nobody asks about it.
func (a *attachment) plain(m *message.Message) bool {
	switch m.Type {
	case message.Response, message.Subscribe, message.Unsubscribe: // these may end here; see notices for the last two
		return false
	}
	return m.From == a.url && len(m.Via) == 0 && !m.ID.IsZero() && !a.rt.trace.Watched() && a.rt.tracker.Find(m.From, m.ID) == nil
}

// follow posts a plain message to where those before it went. done: it has been posted, or its receiver is behind; else
// nothing has happened.
func (a *attachment) follow(ctx context.Context, p *place, m *message.Message) (done bool, err error) {
	s := p.stream.Load()
	if s == nil || s.to != m.To || s.joined != a.rt.bus.Joined() || !s.way.Holds() {
		return false, nil
	}
	if err := s.line.Post(ctx, m); err != nil {
		return errors.Is(err, message.ErrBackpressure), err
	}
	if p.next.Load() != 0 {
		p.next.Store(0)
	}
	return true, nil
}

// remember begins a stream to an address to which a plain message was just posted, if it was the second in a row and
// there is a direct way.
func (a *attachment) remember(p *place, to message.URL) {
	rt := a.rt
	if hash := maphash.String(streamSeed, string(to)); p.next.Swap(hash) != hash {
		return
	}
	s := &stream{to: to, joined: rt.bus.Joined()} // first: who joins from now on is noticed
	way, ok := rt.registry.Standing(a.url, to)
	if !ok || !rt.bus.Passed(to) {
		return
	}
	route := way.Route()
	if plainpeers.Sessionless(route.Remote) {
		return
	}
	line, err := rt.sessions.Line(route.Remote, path(route))
	if err != nil {
		return
	}
	s.way, s.line = way, line
	p.stream.Store(s)
}
