package stub

import (
	"context"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	settleTime = 2 * time.Second // how long a takeover waits for the set-ups of the old run to end
	quietTime  = time.Second     // a run that has not answered the probe after this time counts as ready
	lookPause  = 20 * time.Millisecond
)

// TakeOver starts a run of the stub in proc, which takes over from the current run. That one goes on beside the new one: a
// Handler keeps its connections, a Message Node's stub runs until [Stub.EndOlder]. Where TakeOver returns an error nothing has
// changed. ok is false, without an error, where no run can be taken over from.
func (s *Stub) TakeOver(ctx context.Context, proc *process.Process) (ok bool, err error) {
	s.settle(ctx)
	s.mu.Lock()
	old := s.runs.current
	if old == nil || s.leaving || old.proc == proc || s.runs.older != nil || !old.hasStarted() {
		s.mu.Unlock()
		return false, nil
	}
	r := startIn(s.ctx, proc, s.o, &s.Spec, false)
	s.runs.begin(r)
	s.pumpInBackground(r)
	s.mu.Unlock()
	err = s.awaitReady(ctx, r, old)
	own := s.lock()
	defer own.unlock()
	if err == nil && s.runs.current == old && !s.leaving {
		s.runs.takeOver()
		own.wake()
		s.moved <- r
		s.o.Group.Go(func() { s.announce(r) })
		return true, nil
	}
	s.runs.giveUp()
	s.o.Group.Go(func() { s.discard(r) })
	return false, err
}

// settle waits, for settleTime at most, until an earlier takeover is over and a Handler has no set-up in progress: a set-up
// that is in progress during a takeover may fail.
func (s *Stub) settle(ctx context.Context) {
	late := time.NewTimer(settleTime)
	defer late.Stop()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		s.mu.Lock()
		r, older := s.runs.current, s.runs.older
		s.mu.Unlock()
		if r == nil {
			return
		}
		if _, pending := r.status.Peers(); older == nil && (pending == 0 || s.Role != sdk.RoleHandler) {
			return
		}
		select {
		case <-look.C:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitReady waits until the run r can take over from old: it answers the probe. A Message Node's stub has to be connected
// instead, if old is.
func (s *Stub) awaitReady(ctx context.Context, r, old *run) error {
	bounded, cancel := context.WithTimeout(ctx, s.o.StartTimeout)
	defer cancel()
	var quiet <-chan time.Time
	started := r.started
	for {
		select {
		case <-started:
			started = nil
			if s.isNode() && old.status.Of("") == message.Live {
				continue
			}
			timer := time.NewTimer(quietTime)
			defer timer.Stop()
			quiet = timer.C
			probe := message.Message{ID: message.NumberID(probeNumber), Type: message.Read, From: s.Runtime.Join("registry"), To: s.URL.Join("ready")}
			_ = r.lane.Send(bounded, sdk.Frame{Payload: probe.AppendBinary(nil)}) // where it fails, r.ended or bounded follows
		case <-r.ready:
			return nil
		case <-quiet:
			return nil
		case <-r.ended:
			return fmt.Errorf("stub %s does not start in the new process: %w", s.URL, r.reason())
		case <-bounded.Done():
			if s.isNode() && old.status.Of("") != message.Live {
				return nil // neither of them reaches the node, so nothing is lost by the takeover
			}
			return fmt.Errorf("stub %s is not ready in the new process: %w", s.URL, bounded.Err())
		}
	}
}

// announce posts the own status of a run that has taken over; until then it was held back.
func (s *Stub) announce(r *run) {
	if own := r.status.Of(""); own != 0 {
		s.postStatus(r, status.Body{Value: own})
	}
}

// discard ends a run that has not taken over.
func (s *Stub) discard(r *run) {
	r.end()
	_ = r.cleanUp()
	<-r.pumped
}

// Drained tells whether the older run, if it is in proc, has no peers any more.
func (s *Stub) Drained(proc *process.Process) bool {
	s.mu.Lock()
	r := s.runs.older
	s.mu.Unlock()
	if r == nil || r.proc != proc {
		return false
	}
	peers, _ := r.status.Peers()
	return peers == 0
}

// EndOlder asks the older run to end, if it is in proc.
func (s *Stub) EndOlder(proc *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs.older; r != nil && r.proc == proc {
		r.askToEnd()
	}
}
