package registry

import (
	"context"
	"strings"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// causeOf says whether m is posted because of this runtime or of remote ones: a local component's answers, updates and
// deletions are caused by remote ones.
func (r *Registry) causeOf(m *message.Message) nodes.Cause {
	if m.From == "" { // by Explain
		return nodes.Ours
	}
	if m.Type == message.Response || m.From.Scheme() == message.SchemeConnection || m.To.Scheme() == message.SchemeConnection {
		return nodes.Theirs
	}
	if m.From.IsRuntime() {
		asks := m.Type == message.Subscribe || m.Type == message.Create
		if path := m.From.Path(); strings.Contains(path, "/p2prequester/") || asks && m.From != r.url && !strings.Contains(path, "/p2phandler/") {
			return nodes.Ours
		}
		return nodes.Theirs
	}
	if l, ok := r.locals.get(directory.Key(m.From)); ok && l.reporter != "" && (m.Type == message.Update || m.Type == message.Delete) {
		return nodes.Theirs
	}
	return nodes.Ours
}

// nodeAway tells whether the stub of domain's Message Node runs and has lost its connection. It is false where that cannot be
// found out before ctx ends.
func (r *Registry) nodeAway(ctx context.Context, domain string) bool {
	away := false
	err := r.ask(ctx, func() {
		if n, ok := r.nodes.Get(domain); ok && n.Runs() {
			s, ok := r.stubs.get(n.URL)
			away = ok && s.lost()
		}
	})
	return err == nil && away
}

// reserve has the stub of domain's Message Node deployed for a cause, without waiting until it runs. For a remote runtime's
// cause it waits for its turn.
func (r *Registry) reserve(ctx context.Context, domain string, c nodes.Cause) error {
	c = r.nodes.At(domain, c)
	if _, runs := r.nodes.Now(domain, c); runs {
		return nil
	}
	if err := r.awaitTurn(ctx, domain, c); err != nil {
		return err
	}
	var no error
	if err := r.ask(ctx, func() { _, no = r.reach(domain, c) }); err != nil {
		return err
	}
	return no
}

// node returns the stub of domain's Message Node, and has it deployed if need be: once for all callers that wait, for
// Nodes.Timeout at most. With try the error is [message.ErrWouldBlock] where the caller would have to wait.
func (r *Registry) node(ctx context.Context, domain string, c nodes.Cause, try bool) (url message.URL, deployed bool, err error) {
	c = r.nodes.At(domain, c)
	if url, ok := r.nodes.Now(domain, c); ok {
		return url, false, nil
	}
	if try {
		return "", false, message.ErrWouldBlock
	}
	if err := r.awaitTurn(ctx, domain, c); err != nil {
		return "", false, err
	}
	url, err = r.awaitNode(ctx, domain, c)
	return url, err == nil, err
}

// awaitTurn delays a call that has a Message Node reached because of remote runtimes. Only such calls wait.
func (r *Registry) awaitTurn(ctx context.Context, domain string, c nodes.Cause) error {
	if c == nodes.Ours {
		return nil
	}
	begun := false
	if err := r.ask(ctx, func() { begun = r.nodes.Begun(time.Now(), domain) }); err != nil || begun {
		return err
	}
	wait, err := r.nodes.Turn(time.Now(), domain, r.opts.Nodes.Timeout)
	if err != nil || wait <= 0 {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.loop.Context().Done():
		return ErrClosed
	}
}

func (r *Registry) awaitNode(ctx context.Context, domain string, c nodes.Cause) (message.URL, error) {
	var n *nodes.Node
	var ready <-chan struct{}
	var no error
	if err := r.ask(ctx, func() {
		if n, no = r.reach(domain, c); no == nil {
			ready = n.Ready
		}
	}); err != nil {
		return "", err
	}
	if no != nil {
		return "", no
	}
	timeout := time.NewTimer(r.opts.Nodes.Timeout)
	defer timeout.Stop()
	select {
	case <-ready:
	case <-timeout.C:
		return "", r.refuse(message.CodeUnavailable, "the stub of the Message Node of %s did not start within %v", domain, r.opts.Nodes.Timeout)
	case <-ctx.Done():
		return "", ctx.Err()
	case <-r.loop.Context().Done():
		return "", ErrClosed
	}
	if url, ok := r.nodes.Now(domain, c); ok {
		return url, nil
	}
	var why error
	if err := r.ask(ctx, func() { why = n.Err }); err != nil {
		return "", err
	}
	return "", r.refuse(message.CodeUnavailable, "no way to the Message Node of %s: %v", domain, why)
}

// wantNode has the stub of the remote runtime's Message Node deployed, and PathChanged called when it runs. It does not wait:
// where it would have to, it does nothing, and the caller tries again later.
func (r *Registry) wantNode(remote message.URL) {
	domain := remote.NodeDomain()
	c := r.nodes.At(domain, nodes.Theirs)
	r.loop.TryDo(func() {
		now := time.Now()
		if c == nodes.Theirs && !r.nodes.Begun(now, domain) && !r.nodes.TurnNow(now) {
			return
		}
		if n, err := r.reach(domain, c); err == nil {
			if _, runs := r.nodes.Now(domain, c); runs {
				r.notices.add(remote)
			} else {
				n.Want(remote)
			}
		}
	})
}

// reach makes the stub of domain's Message Node run; see [nodes.Nodes.Reach]. It runs in the loop.
func (r *Registry) reach(domain string, c nodes.Cause) (*nodes.Node, error) {
	plan, err := r.nodes.Reach(time.Now(), domain, c)
	r.dropNodes(plan.Drop)
	if err != nil || !plan.Deploy {
		return plan.Node, err
	}
	n := plan.Node
	r.stubs.add(Stub{URL: n.URL, Role: sdk.RoleNode, Domain: domain}, message.Deploying)
	r.stubs.deploy(Deployment{URL: n.URL, Role: sdk.RoleNode, Domain: domain}, r.opts.Nodes.Timeout, func(err error) {
		s, ok := r.stubs.get(n.URL)
		switch {
		case err != nil && ok:
			s.to(message.DeploymentFailed, err.Error())
		case ok && s.state == message.Deploying:
			s.to(message.Deployed, "")
		}
		if err != nil {
			r.opts.Log.Warn("stub of a Message Node not deployed", "domain", domain, "error", err)
		}
		r.tellReached(r.nodes.Deployed(time.Now(), n, err))
	})
	return n, nil
}

func (r *Registry) tellReached(remotes []message.URL) {
	for _, remote := range remotes {
		r.notices.add(remote)
	}
}

// dropNodes runs in the loop.
func (r *Registry) dropNodes(dropped []nodes.Dropped) {
	for _, d := range dropped {
		r.stubs.drop(d.Stub, d.Undeploy)
	}
}

// dropIdleNodes undeploys the stubs that were deployed because of remote runtimes and have not been used since the last call.
// It runs in the loop.
func (r *Registry) dropIdleNodes() {
	idle := r.nodes.Idle(func(stub message.URL) bool { return r.opts.Nodes.InUse(stub, r.opts.Nodes.Idle) })
	for _, d := range idle {
		r.opts.Log.Debug("Message Node that nobody uses is left", "domain", d.Domain)
	}
	r.dropNodes(idle)
	r.loop.After(r.opts.Nodes.Idle, r.dropIdleNodes)
}
