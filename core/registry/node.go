package registry

import (
	"context"
	"maps"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// node is a Message Node's stub, deployed or on its way.
type node struct {
	domain   string
	url      message.URL
	ready    chan struct{} // closed when the deployment is over
	err      error         // of the last deployment
	failures int
	retryAt  time.Time
	wanted   map[message.URL]bool // remote runtimes that have no way until it runs; maxWanted
	deployed bool                 // it runs
	way      *nodeWay             // what everybody sees of it when it runs
}

// theirs tells whether it is there because of others alone.
func (n *node) theirs() bool { return n.way.theirs.Load() }

func newNode(domain string, url message.URL, c cause) *node {
	n := &node{domain: domain, url: url, wanted: map[message.URL]bool{}, way: &nodeWay{url: url}}
	n.way.theirs.Store(c == theirs)
	n.way.used.Store(true)
	return n
}

const maxWanted = 1024

// nodeAway tells whether domain's Message Node is used and the connection to it is lost just now. It is false where nobody
// can tell before ctx ends.
func (r *Registry) nodeAway(ctx context.Context, domain string) bool {
	away := false
	err := r.ask(ctx, func() {
		if n := r.byDomain[domain]; n != nil && n.deployed {
			s, ok := r.stubs.get(n.url)
			away = ok && (s.state == message.Disconnected || s.state == message.Failed)
		}
	})
	return err == nil && away
}

// node is the stub of domain's Message Node, deployed if need be: once for all who wait, for NodeTimeout at most.
func (r *Registry) node(ctx context.Context, domain string, c cause) (url message.URL, deployed bool, err error) {
	c = r.causeAt(domain, c)
	if url, ok := r.nodeNow(domain, c); ok {
		return url, false, nil
	}
	if err := r.awaitTurn(ctx, domain, c); err != nil {
		return "", false, err
	}
	url, err = r.awaitNode(ctx, domain, c)
	return url, err == nil, err
}

func (r *Registry) awaitNode(ctx context.Context, domain string, c cause) (message.URL, error) {
	var n *node
	var ready <-chan struct{}
	var no error
	err := r.ask(ctx, func() {
		if n, no = r.deployNode(domain, c); no == nil {
			ready = n.ready
		}
	})
	if err != nil {
		return "", err
	}
	if no != nil {
		return "", no
	}
	timeout := time.NewTimer(r.opts.NodeTimeout)
	defer timeout.Stop()
	select {
	case <-ready:
	case <-timeout.C:
		return "", r.refuse(message.CodeUnavailable, "the stub of the Message Node of %s did not start within %v", domain, r.opts.NodeTimeout)
	case <-ctx.Done():
		return "", ctx.Err()
	case <-r.ctx.Done():
		return "", ErrClosed
	}
	if url, ok := r.nodeNow(domain, c); ok {
		return url, nil
	}
	var why error
	if err := r.ask(ctx, func() { why = n.err }); err != nil {
		return "", err
	}
	return "", r.refuse(message.CodeUnavailable, "no way to the Message Node of %s: %v", domain, why)
}

// wantNode has the stub of the remote runtime's Message Node deployed, and PathChanged called when it runs. Where it has
// to wait for that, nothing is done: whoever asked asks again.
func (r *Registry) wantNode(remote message.URL) {
	domain := remote.NodeDomain()
	c := r.causeAt(domain, theirs)
	select {
	case r.tasks <- func() {
		if c == theirs && !r.nodeBegun(domain) {
			if _, ok := r.turns.take(time.Now(), 0); !ok {
				return
			}
		}
		if n, err := r.deployNode(domain, c); err == nil {
			if _, runs := r.nodeNow(n.domain, c); runs {
				r.changed(remote)
			} else if len(n.wanted) < maxWanted {
				n.wanted[remote] = true
			}
		}
	}:
	default: // whoever asked asks again
	}
}

// deployNode returns the entry of domain's stub, whose deployment it starts unless it goes on, is over, or has failed
// a moment ago. It runs in the loop.
func (r *Registry) deployNode(domain string, c cause) (*node, error) {
	n := r.byDomain[domain]
	if n != nil {
		n.way.use(c)
	}
	if r.nodeBegun(domain) {
		return n, nil
	}
	if r.opts.Deployer == nil {
		return nil, r.refuse(message.CodeUnavailable, "no stub of the Message Node of %s is deployed", domain)
	}
	if n == nil {
		if err := r.roomForNode(domain, c); err != nil {
			return nil, err
		}
		url, err := message.ParseURL(string(r.opts.Runtime.Join("protostub", domain)))
		if err != nil {
			return nil, r.refuse(message.CodeBadRequest, "%q is no domain: %v", domain, err)
		}
		n = newNode(domain, url, c)
		r.byDomain[domain] = n
	}
	n.err, n.ready = nil, make(chan struct{})
	added := r.addStub(Stub{URL: n.url, Role: sdk.RoleNode, Domain: domain}, message.Deploying)
	d := Deployment{URL: n.url, Role: sdk.RoleNode, Domain: domain}
	r.deploy(added, d, r.opts.NodeTimeout, func(err error) { r.nodeDeployed(n, err) })
	return n, nil
}

// nodeDeployed ends a deployment. It runs in the loop.
func (r *Registry) nodeDeployed(n *node, err error) {
	defer close(n.ready)
	s, ok := r.stubs.get(n.url)
	if err != nil {
		n.err = err
		n.failures++
		n.retryAt = time.Now().Add(min(r.backoff(n.failures), 10*time.Second))
		if ok {
			s.to(message.DeploymentFailed, err.Error())
		}
		r.opts.Log.Warn("stub of a Message Node not deployed", "domain", n.domain, "error", err)
		return
	}
	n.failures = 0
	if ok && s.state == message.Deploying {
		s.to(message.Deployed, "")
	}
	r.nodeRuns(n)
}

// nodeRuns lets Resolve use the stub. It runs in the loop.
func (r *Registry) nodeRuns(n *node) {
	ways := maps.Clone(*r.nodes.Load())
	n.deployed = true
	ways[n.domain] = n.way
	r.nodes.Store(&ways)
	for remote := range n.wanted {
		r.changed(remote)
	}
	clear(n.wanted)
}

// nodeStatus is a status event of a Message Node's stub. It runs in the loop.
func (r *Registry) nodeStatus(s *stub, ev statusEvent) {
	back := ev.Value == message.Live && (s.state == message.Disconnected || s.state == message.Failed)
	s.to(ev.Value, ev.Desc)
	if s.Domain == r.opts.Domain {
		r.attendance.set(ev.Value == message.Live)
	}
	if back && r.opts.NodeBack != nil {
		r.spawn(func(context.Context) { r.opts.NodeBack(s.URL) })
	}
	if back && s.Domain == r.opts.Domain { // the node may have taken this runtime for gone
		r.later(jitter(time.Second), r.refreshNow)
		r.later(jitter(time.Second), r.settleDebts)
	}
}
