package connections

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/sdk/message"
)

// Options are how connections are made. A zero value is a default.
type Options struct {
	Self      message.URL                   // this runtime
	Prefer    []string                      // names of the plug-ins that this side can request with, best first
	Connects  func(remote message.URL) bool // whether there may be one with a runtime; without it: with every one
	Commanded bool                          // only what [Peers.Use] says
	Passive   bool                          // this side can deploy no Requester

	SetupTimeout   time.Duration // of a set-up; 15 s
	Backoff        time.Duration // after the first failure, doubled by each further; 1 s
	MaxBackoff     time.Duration // 60 s
	ReconnectDelay time.Duration // before a Requester is asked to connect again, without a message that wants it; 200 ms
	HandlerGrace   time.Duration // how long a Handler's ended connection waits for its Requester to come back; 3 s

	Name   func() string                       // a name that nobody else makes up; without it: random text
	Jitter func(d time.Duration) time.Duration // without it: [Jitter]
}

// WithDefaults is o with its defaults.
func (o Options) WithDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.SetupTimeout, 15 * time.Second}, {&o.Backoff, time.Second}, {&o.MaxBackoff, time.Minute},
		{&o.ReconnectDelay, 200 * time.Millisecond}, {&o.HandlerGrace, 3 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Connects == nil {
		o.Connects = func(message.URL) bool { return true }
	}
	if o.Name == nil {
		o.Name = func() string { return strings.ToLower(rand.Text()) }
	}
	if o.Jitter == nil {
		o.Jitter = Jitter
	}
	return o
}

// Jitter is d, a quarter more or less.
func Jitter(d time.Duration) time.Duration {
	return d*3/4 + mathrand.N(d/2+1)
}

// Pause is the pause after n failures in a row (n from 1), without jitter.
func (o *Options) Pause(n int) time.Duration {
	d := o.Backoff
	for i := 1; i < n && d < o.MaxBackoff; i++ {
		d *= 2
	}
	return min(d, o.MaxBackoff)
}

// Peers are the remote runtimes with which there is a connection, or may be one. Make it with [New].
type Peers struct {
	opts    Options
	peers   map[message.URL]*peer
	numbers uint64
	agenda  loop.Agenda[func()]
	now     time.Time // of the present call
	wants   []Want
}

// peer is one remote runtime.
type peer struct {
	url      message.URL
	handlers []directory.Handler // what it offers, as the Domain Registry says
	readAt   time.Time           // when the Domain Registry last said so
	conn     *Connection         // the current one, or nil
	next     *Connection         // is set up to take the place of conn, which is live until then; or nil
	keepTill time.Time           // the other side renews the connection: until then its invitation replaces nothing
	choice   int                 // which of the usable Handlers is tried next
	failures int                 // in a row
	retryAt  time.Time           // no new try before
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

// after has f called when d is over.
func (p *Peers) after(d time.Duration, f func()) *loop.Appointment {
	return p.agenda.Add(p.now.Add(d), f)
}

// Next is when Tick is to be called; false: not before something else happens.
func (p *Peers) Next() (time.Time, bool) { return p.agenda.Next() }

// Tick does what is due.
func (p *Peers) Tick(now time.Time) {
	p.now = now
	for f, ok := p.agenda.Due(now); ok; f, ok = p.agenda.Due(now) {
		f()
	}
}

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

// both are the connections of q, which may be nil, as each of them may.
func (q *peer) both() [2]*Connection {
	if q == nil {
		return [2]*Connection{}
	}
	return [2]*Connection{q.conn, q.next}
}

// current is the current connection of q, which may be nil, as the connection may.
func (q *peer) current() *Connection { return q.both()[0] }
