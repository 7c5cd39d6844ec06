package registry

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// remote is a remote runtime: what messages to it look at. It is small, so that it is near for many of them.
type remote struct {
	way   atomic.Pointer[way] // never nil
	url   message.URL         // canonical
	asked atomic.Bool         // a wake is on its way to the loop
	*dealings
}

// dealings is what the loop alone knows of a remote runtime.
type dealings struct {
	handlers []Handler   // what it offers, as the Domain Registry says
	readAt   time.Time   // when the Domain Registry last said so
	conn     *connection // the current entry, or nil
	next     *connection // is set up to take the place of conn, which is live until then; or nil. See renew.go
	keepTill time.Time   // the remote runtime renews the connection: until then its invitation replaces nothing
	refs     int         // addresses that live there
	claimed  int         // bytes of those that nobody else knows of, see claims.go
	choice   int         // which of the usable Handlers is tried next
	failures int         // in a row
	retryAt  time.Time   // no new try before
	follow   follow      // its /registry/changes
	listedAt time.Time   // when it was given the list of this one's
}

// way is what Resolve needs to know of a remote runtime. The loop replaces it; nobody changes it.
type way struct {
	number  uint64         // of the connection entry; 0: none
	state   message.Status // of the connection; 0: none
	direct  bus.Route      // the zero Route where there is no live connection
	wake    bool           // a message that wants a P2P connection wakes the loop
	retryAt time.Time      // but not before
}

// address is what the cache knows of an address of a remote runtime.
type address struct {
	remote *remote
	joined uint64 // the number of the connection whose entry the address is in
	until  uint32 // Unix seconds; it stays longer while a connection is live
	source source
}

// seconds is t in Unix seconds, as address keeps it: until the year 2106.
func seconds(t time.Time) uint32 { return uint32(t.Unix()) }

// source is who said that an address lives where it does.
type source uint8

const (
	announced  source = iota // it said so in its session, see Announced
	learned                  // it posted from it first
	listed                   // it said so on /registry/changes
	registered               // the Domain Registry
)

// connection is one entry of the P2P connections.
type connection struct {
	number     uint64
	remote     *remote
	plugin     string
	role       sdk.Role // of the stub at this side
	stub       message.URL
	handler    message.URL // a Requester's: the other side's Handler
	door       message.URL // "" until it is live
	state      message.Status
	since      time.Time
	addresses  atomic.Int64 // that joined
	attempts   int          // which try with this remote runtime it is, from 1
	desc       string       // why, where the stub said so
	completing bool         // the Handler is live, the door's registration goes on
	deadline   *appointment // of the set-up
	stopDoor   func()       // ends the door's listener
	renew      bool         // as soon as it is live it is to be renewed
	renewals   int          // that have failed in a row
}

// in tells whether c is its runtime's current entry, or the one that is to follow it.
func (c *connection) in(rem *remote) bool { return c != nil && (rem.conn == c || rem.next == c) }

// addressKey is the form in which an address is in the tables: what is below a hyperty or data object lives with it. It
// is u.Base().Canonical(), with a short way for what nearly all addresses look like: every message takes it.
func addressKey(u message.URL) message.URL {
	s := string(u)
	colon := strings.IndexByte(s, ':')
	if colon < 0 || !strings.HasPrefix(s[colon:], "://") || s[0] == 'r' { // no address; or runtime://, in another spelling
		return u.Base().Canonical()
	}
	domain := colon + len("://")
	slash := strings.IndexByte(s[domain:], '/')
	if slash < 0 {
		return u
	}
	name := domain + slash + 1
	if end := strings.IndexByte(s[name:], '/'); end > 0 {
		return u[:name+end]
	} else if end == 0 || name == len(s) { // a slash too many
		return u.Base().Canonical()
	}
	return u
}

// meet returns the entry of a remote runtime, new if need be. Where the table is full the entry is not kept: it is
// good for a relay and nothing else. It runs in the loop.
func (r *Registry) meet(url message.URL) (rem *remote, kept bool) {
	url = url.Runtime()
	if rem, ok := r.remotes.get(url); ok {
		return rem, true
	}
	rem = &remote{url: url, dealings: &dealings{}}
	rem.way.Store(&way{wake: true})
	if r.remotes.len() >= r.opts.MaxRemotes {
		rem.way.Store(&way{})
		return rem, false
	}
	r.remotes.set(url, rem)
	return rem, true
}

// learn enters an address of a remote runtime. It tells whether the address is now known as that runtime's: what the
// Domain Registry says comes first, then who claimed it first. It runs in the loop.
func (r *Registry) learn(rem *remote, url message.URL, from source) bool {
	key := addressKey(url)
	if from != registered && r.opts.Owner(key, rem.url, false) != nil {
		return false
	}
	old, known := r.addresses.get(key)
	if from == announced && !known && !r.roomToAnnounce(rem) {
		return false
	}
	if from != registered && !known && !r.roomToClaim(rem, key) {
		return false
	}
	moves := known && old.remote != rem
	if moves {
		if from != registered {
			return false
		}
		old.remote.refs--
		r.uncount(key, old)
		known, old = false, address{}
	}
	if !known {
		if r.addresses.len() >= r.opts.MaxAddresses && !r.makeRoom(key) {
			return false
		}
		rem.refs++
	}
	now := address{remote: rem, joined: old.joined, source: max(from, old.source), until: seconds(time.Now().Add(r.opts.CacheTime))}
	if c := rem.conn; c != nil && c.state == message.Live && now.joined != c.number {
		now.joined = c.number
		c.addresses.Add(1)
		r.opts.Trace.Emit(trace.Event{Kind: trace.Learned, To: key, Peer: rem.url, Via: c.door})
	} else if !known {
		r.opts.Trace.Emit(trace.Event{Kind: trace.Learned, To: key, Peer: rem.url})
	}
	if !known || now != old {
		if known {
			r.uncount(key, old)
		}
		r.count(key, now)
		r.addresses.set(key, now)
	}
	if moves {
		r.endings.Add(1)
	}
	return true
}

// makeRoom drops the address that ends first of a few that are near key in the table. It runs in the loop.
func (r *Registry) makeRoom(key message.URL) bool {
	var victim message.URL
	oldest := uint32(0)
	r.addresses.some(key, 8, func(in *item[address]) {
		if victim == "" || in.value.until < oldest {
			victim, oldest = in.key(), in.value.until
		}
	})
	if victim == "" {
		return false
	}
	r.forget(victim)
	return true
}

// forget drops an address. It runs in the loop.
func (r *Registry) forget(key message.URL) {
	if a, ok := r.addresses.get(key); ok {
		a.remote.refs--
		r.uncount(key, a)
		if c := a.remote.conn; c != nil && a.joined == c.number {
			c.addresses.Add(-1)
		}
		r.addresses.delete(key)
		r.endings.Add(1)
	}
}

// join enters an address that is used for the first time since the connection is live into the connection's entry.
func (r *Registry) join(key message.URL) {
	select {
	case r.tasks <- func() {
		a, ok := r.addresses.get(key)
		if !ok || a.remote.conn == nil || a.remote.conn.state != message.Live || a.joined == a.remote.conn.number {
			return
		}
		c := a.remote.conn
		a.joined = c.number
		c.addresses.Add(1)
		r.addresses.set(key, a)
		r.opts.Trace.Emit(trace.Event{Kind: trace.Learned, To: key, Peer: a.remote.url, Via: c.door})
	}:
	default: // the next message to it tries again
	}
}

// refreshWay makes what Resolve sees of rem agree with its entry, and has the change noticed. It runs in the loop.
func (r *Registry) refreshWay(rem *remote) {
	w := &way{wake: true, retryAt: rem.retryAt}
	if c := rem.conn; c != nil {
		w.number, w.state = c.number, c.state
		w.wake = c.state == message.Failed || c.state == message.Disconnected
		if c.state == message.Live {
			w.direct = bus.Route{Stub: c.stub, Door: c.door, Remote: rem.url, Direct: true,
				Why: "a live P2P connection over " + c.plugin + " with " + string(rem.url)}
		}
	}
	before := rem.way.Swap(w)
	if before.direct != w.direct {
		r.changed(rem.url)
	}
}

// usable is which of a remote runtime's Handlers this side can request with, best first.
func (r *Registry) usable(handlers []Handler) []Handler {
	var list []Handler
	for _, name := range r.opts.Prefer {
		if i := slices.IndexFunc(handlers, func(h Handler) bool { return h.Name == name }); i >= 0 {
			list = append(list, handlers[i])
		}
	}
	return list
}

const sweepShards = 16

func (r *Registry) sweepPause() time.Duration { return r.opts.CacheTime * sweepShards / shardCount / 2 }

// sweep drops what has expired, a few shards each time. It runs in the loop.
func (r *Registry) sweep() {
	now := time.Now()
	r.addresses.each(r.swept, r.swept+sweepShards, func(in *item[address]) bool {
		if a := &in.value; a.until < seconds(now) && a.remote.way.Load().direct.Door == "" {
			r.forget(in.key())
		}
		return true
	})
	r.remotes.each(r.swept, r.swept+sweepShards, func(in *item[*remote]) bool {
		rem := in.value
		c := rem.conn
		if rem.refs == 0 && (c == nil || c.state == message.Failed && now.Sub(c.since) > r.opts.CacheTime) {
			r.unfollow(rem)
			r.remotes.delete(rem.url)
		}
		return true
	})
	r.swept = (r.swept + sweepShards) % shardCount
	r.later(r.sweepPause(), r.sweep)
}
