// Package peers is how the runtime's Message Nodes and the remote runtimes are reached, for those who watch that.
//
// Each change has a number; who asks names the last number that it has seen, and is told the newest event of each node and runtime
// that has changed since. So nothing is queued.
package peers

import (
	"cmp"
	"slices"
	"time"

	"github.com/protofly/protofly/core/discovery/internal/version"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Options are the limits. All have to be set.
type Options struct {
	Life  string        // of this process: numbers of another one mean nothing
	Max   int           // nodes and remote runtimes that are remembered; then those whose state is oldest are forgotten
	Grace time.Duration // how long a runtime may be without a path before it counts as unreachable
}

// Peers is what is known. Make it with [New].
type Peers struct {
	o       Options
	version version.Counter
	by      map[subject]*state
}

// subject is a Message Node, or a remote runtime.
type subject struct {
	domain string
	peer   message.URL
}

type state struct {
	event   hyperty.RuntimeEvent
	version uint64
	lost    time.Time // since when there is no path; zero: there is one, or that was told
}

// New makes a Peers that knows nobody.
func New(o Options) *Peers {
	return &Peers{o: o, version: version.Counter{Life: o.Life}, by: map[subject]*state{}}
}

// Node notes whether the Message Node of a domain is connected.
func (p *Peers) Node(now time.Time, domain string, live bool) (told bool) {
	kind := hyperty.NodeAway
	if live {
		kind = hyperty.NodeBack
	}
	if _, known := p.by[subject{domain: domain}]; !known && !live {
		return false // it has not been there yet
	}
	return p.set(now, subject{domain: domain}, kind, "")
}

// Reached notes that a remote runtime is reached by the path that is in use.
func (p *Peers) Reached(now time.Time, peer message.URL, direct bool) (told bool) {
	kind := hyperty.PeerRelayed
	if direct {
		kind = hyperty.PeerDirect
	}
	return p.set(now, subject{peer: peer}, kind, "")
}

// Unreachable notes that a remote runtime does not answer, if it was reached before.
func (p *Peers) Unreachable(now time.Time, peer message.URL, why string) (told bool) {
	if one := p.by[subject{peer: peer}]; one == nil || one.event.Kind == hyperty.PeerUnreachable {
		return false
	}
	return p.set(now, subject{peer: peer}, hyperty.PeerUnreachable, why)
}

// Lost notes that there is no path to a remote runtime just now.
func (p *Peers) Lost(now time.Time, peer message.URL) {
	if one := p.by[subject{peer: peer}]; one != nil && one.lost.IsZero() && one.event.Kind != hyperty.PeerUnreachable {
		one.lost = now
	}
}

// Forget notes that the runtime has no more to do with a remote one.
func (p *Peers) Forget(peer message.URL) { delete(p.by, subject{peer: peer}) }

// Tick has the runtimes count as unreachable that are without a path for too long.
func (p *Peers) Tick(now time.Time) (told bool) {
	for s, one := range p.by {
		if !one.lost.IsZero() && now.Sub(one.lost) >= p.o.Grace {
			told = p.set(now, s, hyperty.PeerUnreachable, "there is no path to it") || told
		}
	}
	return told
}

// Next is when Tick has something to do; false: never.
func (p *Peers) Next() (at time.Time, ok bool) {
	for _, one := range p.by {
		if due := one.lost.Add(p.o.Grace); !one.lost.IsZero() && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	return at, ok
}

// Missing are the remote runtimes that count as unreachable, and since when.
func (p *Peers) Missing() map[message.URL]time.Time {
	missing := map[message.URL]time.Time{}
	for s, one := range p.by {
		if one.event.Kind == hyperty.PeerUnreachable {
			missing[s.peer] = one.event.Since
		}
	}
	return missing
}

func (p *Peers) set(now time.Time, s subject, kind hyperty.EventKind, why string) (told bool) {
	one := p.by[s]
	if one == nil {
		p.makeRoom()
		one = &state{}
		p.by[s] = one
	}
	one.lost = time.Time{}
	if one.event.Kind == kind {
		return false
	}
	one.event = hyperty.RuntimeEvent{Kind: kind, Domain: s.domain, Peer: s.peer, Since: now.UTC().Round(0), Why: why}
	one.version = p.version.Next()
	return true
}

// makeRoom forgets the one that has changed least lately, where there is no room.
func (p *Peers) makeRoom() {
	if len(p.by) < p.o.Max {
		return
	}
	var oldest subject
	for s, one := range p.by {
		if last := p.by[oldest]; last == nil || one.version < last.version {
			oldest = s
		}
	}
	delete(p.by, oldest)
}

// Version names all changes so far.
func (p *Peers) Version() string { return p.version.Text() }

// After reads what Version has given; 0: none of this process.
func (p *Peers) After(version string) uint64 { return p.version.After(version) }

// News are the events after a number, in the order in which they have happened.
func (p *Peers) News(after uint64) []hyperty.RuntimeEvent {
	var list []*state
	for _, one := range p.by {
		if one.version > after {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b *state) int { return cmp.Compare(a.version, b.version) })
	news := make([]hyperty.RuntimeEvent, 0, len(list))
	for _, one := range list {
		news = append(news, one.event)
	}
	return news
}
