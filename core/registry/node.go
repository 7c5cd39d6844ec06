package registry

import (
	"context"
	"maps"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// nodeWays are the Message Node stubs that run, by domain. It is replaced, never changed.
type nodeWays map[string]message.URL

// node is a Message Node's stub, deployed or on its way.
type node struct {
	domain   string
	url      message.URL
	ready    chan struct{} // closed when the deployment is over
	err      error         // of the last deployment
	failures int
	retryAt  time.Time
	wanted   map[message.URL]bool // remote runtimes that have no way until it runs; maxWanted
}

const maxWanted = 1024

// nodeNow is the stub of domain's Message Node, if it runs. (A stub that is not connected counts: it connects by
// itself.)
func (r *Registry) nodeNow(domain string) (message.URL, bool) {
	url, ok := (*r.nodes.Load())[domain]
	return url, ok
}

// node is the stub of domain's Message Node, deployed if need be: once for all who wait, for NodeTimeout at most.
func (r *Registry) node(ctx context.Context, domain string) (url message.URL, deployed bool, err error) {
	if url, ok := r.nodeNow(domain); ok {
		return url, false, nil
	}
	url, err = r.awaitNode(ctx, domain)
	return url, err == nil, err
}

func (r *Registry) awaitNode(ctx context.Context, domain string) (message.URL, error) {
	var n *node
	var ready <-chan struct{}
	var no error
	err := r.ask(ctx, func() {
		if n, no = r.deployNode(domain); no == nil {
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
	if url, ok := r.nodeNow(domain); ok {
		return url, nil
	}
	var why error
	if err := r.ask(ctx, func() { why = n.err }); err != nil {
		return "", err
	}
	return "", r.refuse(message.CodeUnavailable, "no way to the Message Node of %s: %v", domain, why)
}

// wantNode has the stub of the remote runtime's Message Node deployed, and PathChanged called when it runs.
func (r *Registry) wantNode(remote message.URL) {
	select {
	case r.tasks <- func() {
		if n, err := r.deployNode(remote.NodeDomain()); err == nil {
			if _, runs := r.nodeNow(n.domain); runs {
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
func (r *Registry) deployNode(domain string) (*node, error) {
	n := r.byDomain[domain]
	if n != nil && (n.err == nil || time.Now().Before(n.retryAt)) {
		return n, nil
	}
	if r.opts.Deployer == nil {
		return nil, r.refuse(message.CodeUnavailable, "no stub of the Message Node of %s is deployed", domain)
	}
	if n == nil {
		if len(r.byDomain) >= r.opts.MaxNodes && !r.dropFailedNode() {
			return nil, r.refuse(message.CodeTooMany, "this runtime uses %d Message Nodes already: no room for %s", r.opts.MaxNodes, domain)
		}
		url, err := message.ParseURL(string(r.opts.Runtime.Join("protostub", domain)))
		if err != nil {
			return nil, r.refuse(message.CodeBadRequest, "%q is no domain: %v", domain, err)
		}
		n = &node{domain: domain, url: url, wanted: map[message.URL]bool{}}
		r.byDomain[domain] = n
	}
	n.err, n.ready = nil, make(chan struct{})
	added := r.addStub(Stub{URL: n.url, Role: sdk.RoleNode, Domain: domain}, message.Deploying)
	d := Deployment{URL: n.url, Role: sdk.RoleNode, Domain: domain}
	r.deploy(added, d, r.opts.NodeTimeout, func(err error) { r.nodeDeployed(n, err) })
	return n, nil
}

func (r *Registry) dropFailedNode() bool {
	for domain, n := range r.byDomain {
		if n.err != nil {
			delete(r.byDomain, domain)
			r.dropStub(n.url, false)
			return true
		}
	}
	return false
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
	ways[n.domain] = n.url
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
	if back && r.opts.NodeBack != nil {
		r.spawn(func(context.Context) { r.opts.NodeBack(s.URL) })
	}
	if back && s.Domain == r.opts.Domain { // the node may have taken this runtime for gone
		r.later(jitter(time.Second), r.refreshNow)
	}
}
