package connections

import (
	"slices"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/sdk/message"
)

// Peers has the remote runtimes with which there is a connection, or may be one. Make it with [New].
type Peers struct {
	opts    Options
	peers   map[message.URL]*peer
	numbers uint64
	agenda  loop.Agenda[due]
	now     time.Time // the time of the present call
	wants   []Want
}

// New makes Peers without any runtime.
func New(o Options) *Peers {
	return &Peers{opts: o.WithDefaults(), peers: map[message.URL]*peer{}}
}

// at begins a call about a runtime that the directory knows, and makes its entry: other methods make none.
func (p *Peers) at(now time.Time, remote message.URL) *peer {
	p.now = now
	q := p.peers[remote]
	if q == nil {
		q = &peer{url: remote}
		p.peers[remote] = q
	}
	return q
}

// after makes an appointment: what happens to c after d.
func (p *Peers) after(d time.Duration, what dueKind, c *Connection) *loop.Entry[due] {
	return p.agenda.Add(p.now.Add(d), due{what, c})
}

// Next says when to call Tick next; false: not before another call changes something.
func (p *Peers) Next() (time.Time, bool) { return p.agenda.Next() }

// Offered says which Handlers a remote runtime has, by its Domain Registry entry; if the entry names none, the known ones
// stay.
func (p *Peers) Offered(now time.Time, remote message.URL, handlers []directory.Handler) {
	q := p.at(now, remote)
	q.readAt = now
	if len(handlers) > 0 {
		q.handlers = handlers
	}
}

// Handlers returns the Handlers that a remote runtime offers.
func (p *Peers) Handlers(remote message.URL) []directory.Handler {
	if q := p.peers[remote]; q != nil {
		return slices.Clone(q.handlers)
	}
	return nil
}

// Current returns the connection with a remote runtime; while it is renewed, the live one.
func (p *Peers) Current(remote message.URL) (Connection, bool) {
	if q := p.peers[remote]; q != nil && q.conn != nil {
		return *q.conn, true
	}
	return Connection{}, false
}

// Way returns the way to a remote runtime.
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

// Drop forgets a remote runtime, unless there is a connection with it, or one failed less than after ago.
func (p *Peers) Drop(now time.Time, remote message.URL, after time.Duration) bool {
	if q := p.peers[remote]; q != nil && q.conn != nil && (q.conn.State != message.Failed || now.Sub(q.conn.Since) <= after) {
		return false
	}
	delete(p.peers, remote)
	return true
}

// usable returns those Handlers of a remote runtime that this side has a Requester for, best first.
func (p *Peers) usable(q *peer) []directory.Handler {
	var list []directory.Handler
	for _, name := range p.opts.Prefer {
		if i := slices.IndexFunc(q.handlers, func(h directory.Handler) bool { return h.Name == name }); i >= 0 {
			list = append(list, q.handlers[i])
		}
	}
	return list
}

// pause keeps messages from starting a set-up with q for d.
func (p *Peers) pause(q *peer, d time.Duration) {
	q.retryAt = p.now.Add(d)
	p.refreshWay(q)
}

func (p *Peers) refreshWay(q *peer) { p.wants = append(p.wants, Want{Kind: RefreshWay, Remote: q.url}) }

// find returns the connection with that number, if it is the current one or its successor; else nil.
func (p *Peers) find(remote message.URL, number uint64) *Connection {
	q := p.peers[remote]
	for _, c := range q.both() {
		if c != nil && c.Number == number {
			return c
		}
	}
	return nil
}

// Take returns what has been wanted since the last call.
func (p *Peers) Take() []Want {
	wants := p.wants
	p.wants = nil
	return wants
}

// want adds something that is wanted for c.
func (p *Peers) want(kind Kind, c *Connection) {
	p.wantWith(kind, c, "")
}

func (p *Peers) wantWith(kind Kind, c *Connection, text string) {
	p.wants = append(p.wants, Want{Kind: kind, Remote: c.Remote, Connection: *c, Text: text})
}
