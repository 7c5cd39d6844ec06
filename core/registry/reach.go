package registry

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// A Message Node's stub is deployed, and so a connection to a domain made, for one of two causes. What this runtime's
// applications and its operator want has the whole of Options.MaxNodes. What remote runtimes have this one do has half
// of it at most, waits its turn, and is undeployed when nobody uses it any more: a stranger can make up any number of
// domains. Frames of a runtime that has not proven itself are no cause at all.

// cause is why a Message Node is reached.
type cause uint8

const (
	ours   cause = iota // an application here, or the operator
	theirs              // a remote runtime: a claim to an address, an answer, what its subscriptions bring it
)

// nodeWay is a Message Node's stub that runs. Everybody reads it.
type nodeWay struct {
	url    message.URL
	theirs atomic.Bool // deployed because of remote runtimes, and no message of this one's own has needed it
	used   atomic.Bool // since the last look
}

// nodeWays are the Message Node stubs that run, by domain. It is replaced, never changed.
type nodeWays map[string]*nodeWay

// use notes for whom a stub is used. It costs no more than two reads where nothing changes.
func (w *nodeWay) use(c cause) {
	if !w.used.Load() {
		w.used.Store(true)
	}
	if c == ours && w.theirs.Load() {
		w.theirs.Store(false)
	}
}

// nodeNow is the stub of domain's Message Node, if it runs. (A stub that is not connected counts: it connects by
// itself.)
func (r *Registry) nodeNow(domain string, c cause) (message.URL, bool) {
	way, ok := (*r.nodes.Load())[domain]
	if !ok {
		return "", false
	}
	way.use(c)
	return way.url, true
}

// causeAt is c, unless this runtime's operator has named the domain.
func (r *Registry) causeAt(domain string, c cause) cause {
	if domain == r.opts.Domain || r.opts.Named(domain) {
		return ours
	}
	return c
}

// causeOf is who has had m posted: a local component answers, informs and cleans up because of others.
func (r *Registry) causeOf(m *message.Message) cause {
	if m.From == "" { // asked from here: Explain
		return ours
	}
	if m.Type == message.Response || m.From.Scheme() == message.SchemeConnection || m.To.Scheme() == message.SchemeConnection {
		return theirs
	}
	if m.From.IsRuntime() {
		asks := m.Type == message.Subscribe || m.Type == message.Create
		if path := m.From.Path(); strings.Contains(path, "/p2prequester/") || asks && m.From != r.url && !strings.Contains(path, "/p2phandler/") {
			return ours
		}
		return theirs
	}
	if l, ok := r.locals.get(addressKey(m.From)); ok && l.reporter != "" && (m.Type == message.Update || m.Type == message.Delete) {
		return theirs
	}
	return ours
}

// reserve has the stub of domain's Message Node deployed for a cause, without waiting until it runs; for others it waits
// its turn.
func (r *Registry) reserve(ctx context.Context, domain string, c cause) error {
	c = r.causeAt(domain, c)
	if _, runs := r.nodeNow(domain, c); runs {
		return nil
	}
	if err := r.awaitTurn(ctx, domain, c); err != nil {
		return err
	}
	var no error
	if err := r.ask(ctx, func() { _, no = r.deployNode(domain, c) }); err != nil {
		return err
	}
	return no
}

// turns is how fast Message Nodes are reached because of others.
type turns struct {
	mu   sync.Mutex
	next time.Time // when the last one that was granted is through, at one each turnPause
}

// take grants a turn and says how long to wait for it; false: the wait would be longer than limit.
func (t *turns) take(now time.Time, limit time.Duration) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next.Before(now) {
		t.next = now
	}
	wait = max(t.next.Sub(now)-turnBurst*turnPause, 0)
	if wait > limit {
		return 0, false
	}
	t.next = t.next.Add(turnPause)
	return wait, true
}

// awaitTurn holds up who has a Message Node reached because of others, so that remote runtimes can neither have this
// one start stubs as fast as they please nor take all the room for them. Who causes it waits, others do not.
func (r *Registry) awaitTurn(ctx context.Context, domain string, c cause) error {
	if c == ours {
		return nil
	}
	begun := false
	if err := r.ask(ctx, func() { begun = r.nodeBegun(domain) }); err != nil || begun {
		return err
	}
	full := 0
	for _, way := range *r.nodes.Load() {
		if way.theirs.Load() {
			full++
		}
	}
	if full >= r.theirNodes() {
		return r.refuseTheirs(domain)
	}
	wait, ok := r.turns.take(time.Now(), r.opts.NodeTimeout)
	if !ok {
		return r.refuse(message.CodeTooMany, "too many Message Nodes of domains that nobody here uses are to be reached, that of %s among them; try again", domain)
	}
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// nodeBegun tells whether asking for the stub of domain's Message Node starts nothing: it runs, is on its way, or has
// failed a moment ago. It runs in the loop.
func (r *Registry) nodeBegun(domain string) bool {
	n := r.byDomain[domain]
	return n != nil && (n.err == nil || time.Now().Before(n.retryAt))
}

// theirNodes is how many stubs there may be because of others.
func (r *Registry) theirNodes() int { return max(r.opts.MaxNodes/2, 1) }

func (r *Registry) refuseTheirs(domain string) error {
	return r.refuse(message.CodeTooMany, "this runtime uses many Message Nodes: it reaches %s only for its own messages", domain)
}

// roomForNode tells whether one more stub may be deployed. It runs in the loop.
func (r *Registry) roomForNode(domain string, c cause) error {
	total, others := len(r.byDomain), 0
	for _, n := range r.byDomain {
		if n.theirs() {
			others++
		}
	}
	if c == theirs && others >= r.theirNodes() && !r.dropNode(func(n *node) bool { return n.err != nil && n.theirs() }) {
		return r.refuseTheirs(domain)
	}
	if total >= r.opts.MaxNodes && !r.dropNode(func(n *node) bool { return n.err != nil && (c == ours || n.theirs()) }) {
		return r.refuse(message.CodeTooMany, "this runtime uses %d Message Nodes already: no room for %s", r.opts.MaxNodes, domain)
	}
	return nil
}

// dropNode undeploys one stub for which may says yes. It runs in the loop.
func (r *Registry) dropNode(may func(*node) bool) bool {
	for domain, n := range r.byDomain {
		if may(n) {
			r.forgetNode(domain, n, false)
			return true
		}
	}
	return false
}

// forgetNode takes a stub out of use. It runs in the loop.
func (r *Registry) forgetNode(domain string, n *node, undeploy bool) {
	delete(r.byDomain, domain)
	if _, runs := (*r.nodes.Load())[domain]; runs {
		ways := maps.Clone(*r.nodes.Load())
		delete(ways, domain)
		r.nodes.Store(&ways)
	}
	r.dropStub(n.url, undeploy)
}

// dropIdleNodes undeploys the stubs that others have caused and that nobody has used since the last look. It runs in
// the loop.
func (r *Registry) dropIdleNodes() {
	for domain, n := range r.byDomain {
		used := n.way.used.Swap(false)
		over := n.err != nil || n.deployed
		if over && !used && n.theirs() && (r.opts.InUse == nil || !r.opts.InUse(n.url, r.opts.NodeIdle)) {
			r.opts.Log.Debug("Message Node that nobody uses is left", "domain", domain)
			r.forgetNode(domain, n, n.err == nil)
		}
	}
	r.later(r.opts.NodeIdle, r.dropIdleNodes)
}
