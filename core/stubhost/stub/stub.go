package stub

import (
	"context"
	"sync"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Stub is a deployed stub. It outlives the processes that run it. [New] makes it, and [Stub.Run] runs it.
type Stub struct {
	Spec
	o         *Options
	plugin    string // the plug-in's name
	processes Processes

	ctx      context.Context // ends when the stub is dropped
	drop     context.CancelFunc
	deployed chan struct{} // closed when it has started for the first time
	over     chan struct{} // closed when Run has returned

	delivering sync.Mutex // held around Options.Message, since two runs may post at the same time

	mu      sync.Mutex
	runs    runs
	changed chan struct{} // closed when runs.current changes
	moved   chan *run     // the run that has taken over; has room for one
	leaving bool          // the stub is not started again
	err     error         // why it never started
}

// New makes a stub of the plug-in. ctx ends with the host. New keeps o and does not copy it.
func New(ctx context.Context, o *Options, plugin string, processes Processes, spec Spec) *Stub {
	s := &Stub{Spec: spec, o: o, plugin: plugin, processes: processes, deployed: make(chan struct{}), over: make(chan struct{}),
		changed: make(chan struct{}), moved: make(chan *run, 1)}
	s.ctx, s.drop = context.WithCancel(ctx)
	return s
}

// Deployed is closed when the stub has started for the first time.
func (s *Stub) Deployed() <-chan struct{} { return s.deployed }

// Drop ends the stub at once, without asking the plug-in to end it first.
func (s *Stub) Drop() { s.drop() }

// Err returns why the stub has never started, once [Stub.Run] has returned. It is [ErrNotDeployed] where the stub was ended.
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

// ending tells whether the stub ends, so that it is not started again.
func (s *Stub) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving || s.ctx.Err() != nil
}

// start starts the stub in proc and makes that the current run. It returns nil if the stub is ending.
func (s *Stub) start(proc *process.Process, restarted bool) *run {
	own := s.lock()
	defer own.unlock()
	if s.leaving {
		return nil
	}
	s.runs.current = startIn(s.ctx, proc, s.o, &s.Spec, restarted)
	own.wake()
	return s.runs.current
}

// clearCurrent leaves the stub without a current run, if r is nil or the current run. It tells whether it has.
func (s *Stub) clearCurrent(r *run) bool {
	own := s.lock()
	defer own.unlock()
	if r != nil && s.runs.current != r {
		return false
	}
	s.runs.current = nil
	own.wake()
	return true
}

// locked is a Stub with its lock taken, from lock to unlock. Methods that need the lock are methods of locked.
type locked struct{ *Stub }

// lock locks mu.
func (s *Stub) lock() locked {
	s.mu.Lock()
	return locked{s}
}

// unlock unlocks mu.
func (s locked) unlock() { s.mu.Unlock() }

// wake wakes the goroutines that wait for another current run.
func (s locked) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// deliver passes a message of a run to the core, if it is for the core.
func (s *Stub) deliver(ctx context.Context, r *run, m message.Message) error {
	s.delivering.Lock()
	defer s.delivering.Unlock()
	if !s.observe(r, &m) {
		return nil
	}
	return s.o.Message(ctx, s.URL, m)
}

// observe notes a message that a run posts, and tells whether it is for the core.
func (s *Stub) observe(r *run, m *message.Message) (pass bool) {
	b, isStatus := r.status.See(m)
	if isStatus {
		status.Shorten(m)
	}
	s.mu.Lock()
	pass, ready := s.runs.observe(r, m, b, isStatus)
	s.mu.Unlock()
	if ready {
		r.becomeReady()
	}
	return pass
}

// postStatus posts a status event in the name of a run.
func (s *Stub) postStatus(r *run, b status.Body) {
	_ = s.deliver(s.ctx, r, message.Message{Type: message.Update, From: s.URL, To: s.URL.Join("status"), Body: message.Encode(b)})
}

// reportLost posts, in the stub's name, the end of everything that a run had live or was setting up.
func (s *Stub) reportLost(r *run, cause error) {
	for resource, last := range r.status.Take() {
		b := status.Body{Value: message.Disconnected, Resource: resource, Desc: cause.Error()}
		if resource != "" && last != message.Live {
			b.Value = message.Failed
		}
		s.postStatus(r, b)
	}
}

// isNode tells whether it is a Message Node's stub.
func (s *Stub) isNode() bool { return s.Role == sdk.RoleNode }
