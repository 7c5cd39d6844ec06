package stub

import (
	"context"
	"sync"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Stub is a deployed stub. It outlives the processes that run it. It is made by [New], and lives while [Stub.Run] goes on.
type Stub struct {
	Spec
	o         *Options
	plugin    string // the plug-in's name
	processes Processes

	ctx      context.Context // ends when the stub is to be dropped
	drop     context.CancelFunc
	deployed chan struct{} // closed when it has started for the first time
	over     chan struct{} // closed when Run is over

	telling sync.Mutex // held around Options.Message: two runs may have something to say

	mu      sync.Mutex
	runs    succession
	changed chan struct{} // closed when runs.current changes
	moved   chan *run     // has room for the one that has taken over
	leaving bool          // it is not started again
	err     error         // why it never started
}

// New makes a stub of the plug-in. ctx ends with the host. The options are not copied.
func New(ctx context.Context, o *Options, plugin string, processes Processes, spec Spec) *Stub {
	s := &Stub{Spec: spec, o: o, plugin: plugin, processes: processes, deployed: make(chan struct{}), over: make(chan struct{}),
		changed: make(chan struct{}), moved: make(chan *run, 1)}
	s.ctx, s.drop = context.WithCancel(ctx)
	return s
}

// Deployed is closed when the stub has started for the first time.
func (s *Stub) Deployed() <-chan struct{} { return s.deployed }

// Drop has the stub end at once. Its run is not asked to.
func (s *Stub) Drop() { s.drop() }

// Err is why the stub has never started, when [Stub.Run] has returned. It is [ErrNotDeployed] where it was ended.
func (s *Stub) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return ErrNotDeployed
	}
	return s.err
}

func (s *Stub) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// ending tells whether the stub is not to be started again.
func (s *Stub) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving || s.ctx.Err() != nil
}

// start has proc start the stub and makes that the current run, unless the stub is ending: then it is nil.
func (s *Stub) start(proc *process.Process, restarted bool) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving {
		return nil
	}
	s.runs.current = startIn(s.ctx, proc, s.o, &s.Spec, restarted)
	s.wake()
	return s.runs.current
}

// vacate has no run be the current one, if that is r, or whichever it is where r is nil.
func (s *Stub) vacate(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil && s.runs.current != r {
		return false
	}
	s.runs.current = nil
	s.wake()
	return true
}

// wake wakes those who wait for another current run. It is called by who changes it.
func (s *Stub) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// tell gives the core a message of a run.
func (s *Stub) tell(ctx context.Context, r *run, m message.Message) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	if !s.hear(r, &m) {
		return nil
	}
	return s.o.Message(ctx, s.URL, m)
}

// hear notes what a run posts, and tells whether it is for the core.
func (s *Stub) hear(r *run, m *message.Message) (pass bool) {
	b, isStatus := r.status.See(m)
	if isStatus {
		status.Shorten(m)
	}
	s.mu.Lock()
	pass, ready := s.runs.hear(r, m, b, isStatus)
	s.mu.Unlock()
	if ready {
		r.becomeReady()
	}
	return pass
}

// say posts a status event in the name of a run.
func (s *Stub) say(r *run, b status.Body) {
	_ = s.tell(s.ctx, r, message.Message{Type: message.Update, From: s.URL, To: s.URL.Join("status"), Body: message.Encode(b)})
}

// standIn posts in the stub's name that everything which was not over in a run is.
func (s *Stub) standIn(r *run, cause error) {
	for resource, last := range r.status.Take() {
		b := status.Body{Value: message.Disconnected, Resource: resource, Desc: cause.Error()}
		if resource != "" && last != message.Live {
			b.Value = message.Failed
		}
		s.say(r, b)
	}
}

// isNode tells whether it is a Message Node's stub.
func (s *Stub) isNode() bool { return s.Role == sdk.RoleNode }
