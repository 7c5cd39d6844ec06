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
	settleTime = 2 * time.Second // for the set-ups of a Handler to end before it is taken over from
	quietTime  = time.Second     // a stub that answers no probe and has run so long counts as started
	lookPause  = 20 * time.Millisecond
)

// TakeOver starts a run of the stub in proc and lets it take over from the one that runs elsewhere, which goes on
// beside it: a Handler's with the connections that it has, a Message Node stub's until it has been told to end. Where
// it returns an error nothing has changed. ok is false without one where there is nothing to take over from.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.runs.current == old && !s.leaving {
		s.runs.takeOver()
		s.wake()
		s.moved <- r
		s.o.Group.Go(func() { s.introduce(r) })
		return true, nil
	}
	s.runs.giveUp()
	s.o.Group.Go(func() { s.discard(r) })
	return false, err
}

// settle waits, for a while, until nothing is left of an earlier takeover, and for a moment without set-ups of a
// Handler: those that go on when the next run takes over may fail.
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

// awaitReady waits until a run that is to take over is fit to: it listens, and a Message Node's stub is connected, if
// the one that it is to replace is.
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
			_ = r.lane.Send(bounded, sdk.Frame{Payload: probe.AppendBinary(nil)}) // an error has its own case here
		case <-r.ready:
			return nil
		case <-quiet:
			return nil
		case <-r.ended:
			return fmt.Errorf("stub %s does not start in the new process: %w", s.URL, r.reason())
		case <-bounded.Done():
			if s.isNode() && old.status.Of("") != message.Live {
				return nil // neither of them reaches the node
			}
			return fmt.Errorf("stub %s is not ready in the new process: %w", s.URL, bounded.Err())
		}
	}
}

// introduce tells the core what a run that has taken over has said of itself, which was held back until then.
func (s *Stub) introduce(r *run) {
	if own := r.status.Of(""); own != 0 {
		s.say(r, status.Body{Value: own})
	}
}

// discard ends a run that does not take over.
func (s *Stub) discard(r *run) {
	r.end()
	_ = r.putAway()
	<-r.pumped
}

// Drained tells whether the run in proc that was taken over from has no peers any more.
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

// EndOlder asks the run in proc that was taken over from to end.
func (s *Stub) EndOlder(proc *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs.older; r != nil && r.proc == proc {
		r.askToEnd()
	}
}
