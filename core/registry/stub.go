package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/core/registry/table"
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

// StubStatus is a stub of this runtime.
type StubStatus struct {
	URL    message.URL    `json:"url"`
	Role   sdk.Role       `json:"role"`
	Plugin string         `json:"plugin,omitempty"`
	Domain string         `json:"domain,omitempty"`
	Remote message.URL    `json:"remote,omitempty"`
	State  message.Status `json:"state"`
	Since  time.Time      `json:"since"`
	Desc   string         `json:"desc,omitempty"`
}

// stub is a stub with its state. The embedded Stub never changes; the other fields are the loop's own.
type stub struct {
	Stub
	state message.Status
	since time.Time
	desc  string
	stop  func() // ends the status listener

	abort    context.CancelFunc // of a deployment that goes on; nil where the wiring deployed it
	deployed chan struct{}      // closed when Deploy has returned
}

func (s *stub) to(state message.Status, desc string) {
	if s.state != state {
		s.since = time.Now()
	}
	s.state, s.desc = state, desc
}

// lost tells whether the stub has lost its connection.
func (s *stub) lost() bool { return s.state == message.Disconnected || s.state == message.Failed }

func (s *stub) status() StubStatus {
	return StubStatus{s.URL, s.Role, s.Plugin, s.Domain, s.Remote, s.state, s.since, s.desc}
}

// stubs are the stubs of this runtime. Any goroutine reads them, the loop writes.
type stubs struct {
	loop     *loop.Loop
	call     *caller
	deployer Deployer                                              // may be nil
	receive  func(ctx context.Context, s *stub, m message.Message) // handles what is posted to a stub's status
	known    *table.Table[*stub]
	leaving  *table.Table[*stub] // stubs that were dropped and have not ended yet
}

func (t *stubs) get(url message.URL) (*stub, bool) { return t.known.Get(url.Canonical()) }

// of returns a stub, also one that was dropped and has not ended yet.
func (t *stubs) of(url message.URL) (*stub, bool) {
	if s, ok := t.get(url); ok {
		return s, true
	}
	return t.leaving.Get(url.Canonical())
}

// add adds a stub, or gives the state to the one that is known. It runs in the loop.
func (t *stubs) add(s Stub, state message.Status) *stub {
	key := s.URL.Canonical()
	if old, ok := t.known.Get(key); ok {
		old.to(state, "")
		return old
	}
	added := &stub{Stub: s, state: state, since: time.Now()}
	added.stop = t.call.Listen(s.URL.Join("status"), func(ctx context.Context, m message.Message) {
		t.receive(ctx, added, m)
	})
	t.known.Set(key, added)
	return added
}

// drop forgets a stub, and undeploys it if undeploy is set. Until its instance has ended it may still post: a Requester
// deletes the Connection object that it has made. It runs in the loop.
func (t *stubs) drop(url message.URL, undeploy bool) {
	key := url.Canonical()
	s, ok := t.known.Get(key)
	if !ok {
		return
	}
	t.known.Delete(key)
	t.leaving.Set(key, s)
	if s.abort != nil {
		s.abort()
	}
	t.loop.Go(func(ctx context.Context) {
		if s.deployed != nil { // an instance must not start after its Undeploy
			<-s.deployed
		}
		if undeploy && t.deployer != nil {
			bounded, cancel := context.WithTimeout(ctx, stopTimeout)
			defer cancel()
			if err := t.deployer.Undeploy(bounded, url); err != nil && ctx.Err() == nil {
				t.call.log.Warn("stub not undeployed", "stub", url, "error", err)
			}
		}
		s.stop()
		t.loop.Do(func() { t.leaving.Delete(key) })
	})
}

// deploy has an instance of a stub started in the background, and then calls then in the loop. It runs in the loop.
func (t *stubs) deploy(d Deployment, timeout time.Duration, then func(error)) {
	s, ok := t.get(d.URL)
	if !ok {
		return
	}
	bounded, cancel := context.WithTimeout(t.loop.Context(), timeout)
	deployed := make(chan struct{})
	s.abort, s.deployed = cancel, deployed
	t.loop.Go(func(context.Context) {
		err := t.deployer.Deploy(bounded, d)
		cancel()
		close(deployed)
		t.loop.Do(func() { then(err) })
	})
}

// tell sends an "execute" to a stub. It logs a failure, but nothing depends on the answer.
func (t *stubs) tell(stub message.URL, method string, params ...message.URL) {
	t.loop.Go(func(ctx context.Context) {
		if err := t.call.execute(ctx, stub, tellTimeout, method, params...); err != nil && ctx.Err() == nil {
			t.call.log.Debug("stub did not do as told", "stub", stub, "method", method, "error", err)
		}
	})
}

// each calls f for the stubs. It runs in the loop, or when that has ended.
func (t *stubs) each(f func(*stub)) {
	t.known.Each(0, table.Shards, func(in *table.Item[*stub]) bool {
		f(in.Value)
		return true
	})
}
