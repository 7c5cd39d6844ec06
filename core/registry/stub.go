package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Stub names a stub of this runtime.
type Stub struct {
	URL    message.URL
	Role   sdk.Role
	Plugin string
	Domain string      // RoleNode
	Remote message.URL // RoleRequester
}

// stub is a stub with its state. What Stub holds never changes; the rest is the loop's own.
type stub struct {
	Stub
	state message.Status
	since time.Time
	desc  string
	stop  func()      // ends the status listener
	conn  *connection // RoleRequester: its current entry

	abort    context.CancelFunc // of a deployment that goes on; nil where the wiring deployed it
	deployed chan struct{}      // closed when Deploy has returned
}

func (s *stub) to(state message.Status, desc string) {
	if s.state != state {
		s.since = time.Now()
	}
	s.state, s.desc = state, desc
}

// AddStub makes a stub known that the wiring has deployed: this runtime's Message Node stub, which Resolve uses from
// then on, or a Handler that is not in Options. The Registry listens to its status.
func (r *Registry) AddStub(s Stub) {
	_ = r.ask(context.Background(), func() {
		r.addStub(s, message.Deployed)
		if s.Role == sdk.RoleNode {
			ready := make(chan struct{})
			close(ready)
			n := newNode(s.Domain, s.URL, ours)
			n.ready = ready
			if old := r.byDomain[s.Domain]; old != nil {
				n.wanted = old.wanted
			}
			r.byDomain[s.Domain] = n
			r.nodeRuns(n)
		}
	})
}

// Stub is the state of a stub; false where it is not known.
func (r *Registry) Stub(url message.URL) (StubStatus, bool) {
	s, ok := r.stubs.get(url.Canonical())
	if !ok {
		return StubStatus{}, false
	}
	var state StubStatus
	if r.ask(context.Background(), func() { state = s.status() }) != nil {
		return StubStatus{}, false
	}
	return state, true
}

// addStub runs in the loop.
func (r *Registry) addStub(s Stub, state message.Status) *stub {
	key := s.URL.Canonical()
	if old, ok := r.stubs.get(key); ok {
		old.to(state, "")
		return old
	}
	added := &stub{Stub: s, state: state, since: time.Now()}
	added.stop = r.opts.Bus.Listen(s.URL.Join("status"), func(ctx context.Context, m message.Message) {
		r.receiveStatus(ctx, added, m)
	})
	r.stubs.set(key, added)
	return added
}

// dropStub forgets a stub and, if undeploy is set, has it ended. Until it has, it may take back what it has made in
// this runtime: a Requester deletes its Connection object. It runs in the loop.
func (r *Registry) dropStub(url message.URL, undeploy bool) {
	s, ok := r.stubs.get(url.Canonical())
	if !ok {
		return
	}
	r.stubs.delete(url.Canonical())
	r.leaving.set(url.Canonical(), s)
	if s.abort != nil {
		s.abort()
	}
	r.spawn(func(ctx context.Context) {
		if s.deployed != nil { // else an instance could start after it was ended
			<-s.deployed
		}
		if undeploy && r.opts.Deployer != nil {
			bounded, cancel := context.WithTimeout(ctx, stopTimeout)
			defer cancel()
			if err := r.opts.Deployer.Undeploy(bounded, url); err != nil && ctx.Err() == nil {
				r.opts.Log.Warn("stub not undeployed", "stub", url, "error", err)
			}
		}
		s.stop()
		r.do(func() { r.leaving.delete(url.Canonical()) })
	})
}

// deploy has an instance started in the background; then is called in the loop. It runs in the loop.
func (r *Registry) deploy(s *stub, d Deployment, timeout time.Duration, then func(error)) {
	bounded, cancel := context.WithTimeout(r.ctx, timeout)
	deployed := make(chan struct{})
	s.abort, s.deployed = cancel, deployed
	r.spawn(func(context.Context) {
		err := r.opts.Deployer.Deploy(bounded, d)
		cancel()
		close(deployed)
		r.do(func() { then(err) })
	})
}

// tell has a stub do something (an execute); its answer is waited for, but nothing depends on it.
func (r *Registry) tell(stub message.URL, method string, params ...message.URL) {
	r.spawn(func(ctx context.Context) {
		_, err := r.request(ctx, message.Execute, stub, executeBody{method, params}, tellTimeout)
		if err != nil && ctx.Err() == nil {
			r.opts.Log.Debug("stub did not do as told", "stub", stub, "method", method, "error", err)
		}
	})
}

type executeBody struct {
	Method string        `json:"method"`
	Params []message.URL `json:"params"`
}
