package connections

import (
	"slices"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/sdk/message"
)

// Peers are the remote runtimes with which there is a connection, or may be one. Make it with [New].
type Peers struct {
	opts    Options
	peers   map[message.URL]*peer
	numbers uint64
	agenda  loop.Agenda[due]
	now     time.Time // of the present call
	wants   []Want
}

// New makes Peers that know nobody.
func New(o Options) *Peers {
	return &Peers{opts: o.WithDefaults(), peers: map[message.URL]*peer{}}
}

// at begins a call about a runtime that the directory knows: nobody else has an entry made.
func (p *Peers) at(now time.Time, remote message.URL) *peer {
	p.now = now
	q := p.peers[remote]
	if q == nil {
		q = &peer{url: remote}
		p.peers[remote] = q
	}
	return q
}

// after has something happen with c when d is over.
func (p *Peers) after(d time.Duration, what dueKind, c *Connection) *loop.Entry[due] {
	return p.agenda.Add(p.now.Add(d), due{what, c})
}

// Next is when Tick is to be called; false: not before something else happens.
func (p *Peers) Next() (time.Time, bool) { return p.agenda.Next() }

// Offered says what Handlers a remote runtime has, by the Domain Registry; where it names none, those that were known stay.
func (p *Peers) Offered(now time.Time, remote message.URL, handlers []directory.Handler) {
	q := p.at(now, remote)
	q.readAt = now
	if len(handlers) > 0 {
		q.handlers = handlers
	}
}

// Handlers is what a remote runtime offers.
func (p *Peers) Handlers(remote message.URL) []directory.Handler {
	if q := p.peers[remote]; q != nil {
		return slices.Clone(q.handlers)
	}
	return nil
}

// Current is the connection with a remote runtime; while one is renewed, the live one.
func (p *Peers) Current(remote message.URL) (Connection, bool) {
	if q := p.peers[remote]; q != nil && q.conn != nil {
		return *q.conn, true
	}
	return Connection{}, false
}

// Way is the way to a remote runtime.
func (p *Peers) Way(remote message.URL) *directory.Way {
	q := p.peers[remote]
	if q == nil {
		return &directory.Way{Wake: true}
	}
	w := &directory.Way{Wake: true, RetryAt: q.retryAt}
	if c := q.conn; c != nil {
		w.Number, w.State = c.Number, c.State
		w.Wake = c.State == message.Failed || c.State == message.Disconnected
		if c.State == message.Live {
			w.Direct = bus.Route{Stub: c.Stub, Door: c.Door, Remote: q.url, Direct: true,
				Why: "a live P2P connection over " + c.Plugin + " with " + string(q.url)}
		}
	}
	return w
}

// Drop forgets a remote runtime, unless there is a connection with it, or one that failed less than after ago.
func (p *Peers) Drop(now time.Time, remote message.URL, after time.Duration) bool {
	if q := p.peers[remote]; q != nil && q.conn != nil && (q.conn.State != message.Failed || now.Sub(q.conn.Since) <= after) {
		return false
	}
	delete(p.peers, remote)
	return true
}

// usable is which of a remote runtime's Handlers this side can request with, best first.
func (p *Peers) usable(q *peer) []directory.Handler {
	var list []directory.Handler
	for _, name := range p.opts.Prefer {
		if i := slices.IndexFunc(q.handlers, func(h directory.Handler) bool { return h.Name == name }); i >= 0 {
			list = append(list, q.handlers[i])
		}
	}
	return list
}

// pause lets no message have a set-up considered for a while.
func (p *Peers) pause(q *peer, d time.Duration) {
	q.retryAt = p.now.Add(d)
	p.refreshWay(q)
}

func (p *Peers) refreshWay(q *peer) { p.wants = append(p.wants, Want{Kind: RefreshWay, Remote: q.url}) }

// find is the connection of that number, if it is the current one or is to follow it; or nil.
func (p *Peers) find(remote message.URL, number uint64) *Connection {
	q := p.peers[remote]
	for _, c := range q.both() {
		if c != nil && c.Number == number {
			return c
		}
	}
	return nil
}

// Take is what is wanted since the last time.
func (p *Peers) Take() []Want {
	wants := p.wants
	p.wants = nil
	return wants
}

// want wants something that has to do with c.
func (p *Peers) want(kind Kind, c *Connection) {
	p.wantWith(kind, c, "")
}

func (p *Peers) wantWith(kind Kind, c *Connection, text string) {
	p.wants = append(p.wants, Want{Kind: kind, Remote: c.Remote, Connection: *c, Text: text})
}
