package plainpeers

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Policy is the operator's policy about runtimes without sessions. The errors say what to do.
type Policy interface {
	// WithoutSession returns an error if messages with the runtime are not allowed.
	WithoutSession(remote message.URL) error
	// HomeWithoutSessions tells whether a hyperty of that domain may be at a runtime without sessions that is allowed.
	HomeWithoutSessions(domain string) bool
}

// Directory knows where addresses are. The Registry implements it.
type Directory interface {
	// Where returns the runtime of an address. It may ask the Domain Registry.
	Where(ctx context.Context, address message.URL) (message.URL, error)
	// Local tells whether the address is one of this runtime's.
	Local(address message.URL) bool
}

// Routes finds routes to Message Nodes. The Registry implements it.
type Routes interface {
	// Explain returns the route to an address.
	Explain(ctx context.Context, to message.URL) (bus.Route, error)
	// RouteTo returns the best route to a known runtime.
	RouteTo(remote message.URL) (bus.Route, error)
}

// Bus takes the messages that are accepted. [bus.MessageBus] implements it.
type Bus interface {
	Arrive(ctx context.Context, remote, door message.URL, m message.Message)
	ArriveFromNode(ctx context.Context, stub message.URL, m message.Message)
}

// Options are a [Peers]'s settings. All are required but Log and Trace.
type Options struct {
	Self      message.URL // this runtime
	Domain    string      // its domain
	Policy    Policy
	Directory Directory
	Routes    Routes
	Bus       Bus
	Post      func(ctx context.Context, stub message.URL, m message.Message) error // passes a message to a stub
	Go        func(func(ctx context.Context))                                      // runs a goroutine that its owner waits for; its ctx ends when it must end
	Log       hclog.Logger                                                         // nil: none
	Trace     *trace.Hub
}

// Peers has the remote runtimes without sessions. Its methods may be called from many goroutines.
type Peers struct {
	o     Options
	asked asked
	work  work.Jobs[message.URL] // by the message's receiver

	mu    sync.Mutex
	peers map[message.URL]*peer // maxPeers
	said  map[string]time.Time  // when a fault was logged last; at most maxSaid
}

// peer is a runtime without a session, with which messages were exchanged.
type peer struct {
	sent, received atomic.Uint64
	since          time.Time
}

// Peer says how many messages were exchanged with a runtime without a session.
type Peer struct {
	Remote         message.URL
	Sent, Received uint64 // messages
	Since          time.Time
}

const (
	maxPeers = 4096        // that are counted
	sayAgain = time.Minute // before the same fault is logged again
	maxSaid  = 256         // faults that are remembered for that
)

// Sessionless tells whether a runtime can have no session: its address is derived from no key that it could prove.
func Sessionless(runtime message.URL) bool { return !proof.KeyDerived(runtime) }

// New makes a Peers.
func New(o Options) *Peers {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Peers{o: o, work: work.Jobs[message.URL]{Begin: o.Go}, peers: map[message.URL]*peer{}, said: map[string]time.Time{}}
}

// peer returns the entry of a runtime.
func (p *Peers) peer(remote message.URL) *peer {
	remote = remote.Canonical()
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.peers[remote]
	if found == nil {
		found = &peer{since: time.Now()}
		if len(p.peers) < maxPeers {
			p.peers[remote] = found
		}
	}
	return found
}

// Snapshot returns all runtimes with which messages were exchanged, sorted.
func (p *Peers) Snapshot() []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Peer, 0, len(p.peers))
	for url, one := range p.peers {
		list = append(list, Peer{Remote: url, Sent: one.sent.Load(), Received: one.received.Load(), Since: one.since})
	}
	slices.SortFunc(list, func(a, b Peer) int { return cmp.Compare(a.Remote, b.Remote) })
	return list
}

// Allows returns an error if messages to a runtime would be refused. It is a *message.ResponseError.
func (p *Peers) Allows(remote message.URL) error {
	if err := p.o.Policy.WithoutSession(remote); err != nil {
		return &message.ResponseError{Code: message.CodeForbidden, From: p.o.Self, Description: message.Reason(err)}
	}
	return nil
}

// logSeldom logs a fault that a stranger can cause as often as it likes: the same one once in a while.
func (p *Peers) logSeldom(about message.URL, text string, args ...any) {
	now := time.Now()
	key := text + " " + about.NodeDomain()
	p.mu.Lock()
	last, known := p.said[key]
	fresh := !known || now.Sub(last) >= sayAgain
	if fresh && !known && len(p.said) >= maxSaid {
		maps.DeleteFunc(p.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayAgain })
		fresh = len(p.said) < maxSaid // else enough was logged
	}
	if fresh {
		p.said[key] = now
	}
	p.mu.Unlock()
	if fresh {
		p.o.Log.Warn(text, args...)
	}
}

// refused logs that messages with a runtime are refused.
func (p *Peers) refused(remote, stub message.URL, err error) {
	p.logSeldom(remote, "runtime without a session refused", "remote", remote, "why", err)
	if p.o.Trace.Watched() {
		p.o.Trace.Emit(trace.Event{Kind: trace.Untrusted, Peer: remote, Via: stub, Value: err.Error()})
	}
}
