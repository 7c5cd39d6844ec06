package core

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// plain is what is said with runtimes without sessions: those of the reference implementation, whose addresses are
// derived from no key. Their Messages leave and come through the stub of a Message Node as they are, where
// Config.Trust.WithoutSessions allows it: not once, not in order, not unread, and with a `from` that only nodes vouch
// for. So that nobody gains by it what a session would deny,
//
//   - a message counts as from the runtime that its `from` belongs to: by its form, or as the Domain Registry says; that
//     runtime must be allowed, have an address that is derived from no key, and not be this one;
//   - only the own Message Node is believed, and the one of that runtime's domain;
//   - it reaches hyperties and data objects, never a component of the runtime: there are no P2P connections with such
//     runtimes;
//   - a response is taken only for a question that went out in this way, from the address that was asked, by the same
//     node.
type plain struct {
	rt    *Runtime
	asked asked
	lanes work.Jobs[message.URL]

	mu    sync.Mutex
	peers map[message.URL]*plainPeer // maxPlainPeers
	said  map[string]time.Time       // maxSaid; those that may be said again make room
}

// plainPeer is a runtime that is spoken with without a session.
type plainPeer struct {
	sent, received atomic.Uint64
	since          time.Time
}

const (
	maxPlainPeers = 4096        // that are counted
	sayAgain      = time.Minute // before the same trouble is logged once more
	maxSaid       = 256         // troubles that are remembered for it
)

// sessionless tells whether a runtime can have no session: its address is derived from no key that it could prove.
func sessionless(runtime message.URL) bool { return !proof.KeyDerived(runtime) }

// peer is the entry of a runtime.
func (p *plain) peer(remote message.URL) *plainPeer {
	remote = remote.Canonical()
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.peers[remote]
	if found == nil {
		found = &plainPeer{since: time.Now()}
		if len(p.peers) < maxPlainPeers {
			if p.peers == nil {
				p.peers = map[message.URL]*plainPeer{}
			}
			p.peers[remote] = found
		}
	}
	return found
}

// status is every runtime that was spoken with, sorted.
func (p *plain) status() []api.WithoutSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]api.WithoutSession, 0, len(p.peers))
	for url, peer := range p.peers {
		list = append(list, api.WithoutSession{Remote: url, Session: api.NoSession, Sent: peer.sent.Load(),
			Received: peer.received.Load(), Since: peer.since})
	}
	slices.SortFunc(list, func(a, b api.WithoutSession) int { return cmp.Compare(a.Remote, b.Remote) })
	return list
}

// explain completes a path to a runtime without sessions. The error is a *message.ResponseError where nothing would be
// sent to it.
func (p *plain) explain(path *api.Path) error {
	if path.Remote == "" || !sessionless(path.Remote) {
		return nil
	}
	if err := p.rt.judge.WithoutSession(path.Remote); err != nil {
		return &message.ResponseError{Code: message.CodeForbidden, From: p.rt.URL(), Description: err.Error()}
	}
	path.Session = api.NoSession
	path.Why += "; without a session (trust.without_sessions): not once, not in order, not unread"
	return nil
}

// say logs what a stranger can make happen as often as it likes, once a while.
func (p *plain) say(about message.URL, text string, args ...any) {
	now := time.Now()
	key := text + " " + about.NodeDomain()
	p.mu.Lock()
	last, known := p.said[key]
	fresh := !known || now.Sub(last) >= sayAgain
	if fresh && !known && len(p.said) >= maxSaid {
		maps.DeleteFunc(p.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayAgain })
		fresh = len(p.said) < maxSaid // else enough has been said
	}
	if fresh {
		if p.said == nil {
			p.said = map[string]time.Time{}
		}
		p.said[key] = now
	}
	p.mu.Unlock()
	if fresh {
		p.rt.log.Warn(text, args...)
	}
}
