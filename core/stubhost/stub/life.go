package stub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/internal/backoff"
)

// Run runs the stub, and starts it again when it has failed, until it is undeployed or dropped, or its first start fails. It
// is called once.
func (s *Stub) Run() {
	defer close(s.over)
	defer s.drop()
	pauses := backoff.Backoff{Min: s.o.BackoffMin, Max: s.o.BackoffMax}
	for restarted := false; ; {
		began := time.Now()
		r, err := s.begin(restarted)
		if err == nil {
			if !restarted {
				close(s.deployed)
			}
			s.pumpInBackground(r)
			r = s.serve(r)
			err = r.cleanUp()
			if s.ending() {
				return
			}
			s.reportLost(r, err)
			restarted = true
		} else if !restarted || s.ending() {
			s.fail(err)
			return
		}
		if ofProcess(err) {
			continue // Processes.Process waits for the back-off of the process
		}
		if time.Since(began) >= s.o.Healthy {
			pauses.Reset()
		}
		s.pause(pauses.Next(), err)
	}
}

// pause waits before the stub is started again in a process that goes on.
func (s *Stub) pause(d time.Duration, err error) {
	s.processes.StubFailed(fmt.Errorf("%s: %w", s.URL, err))
	s.o.Log.Error("stub ended unexpectedly", "stub", s.URL, "plugin", s.plugin, "error", err, "next_start_in", d.Round(time.Millisecond))
	backoff.Sleep(s.ctx, d)
}

// ofProcess tells whether err is the failure of a process, and not of one stub in it.
func ofProcess(err error) bool {
	var start *failure.StartError
	var exit *failure.ExitError
	return errors.As(err, &start) || errors.As(err, &exit)
}

// begin starts a run and waits until the plug-in says that the stub has started.
func (s *Stub) begin(restarted bool) (*run, error) {
	proc, err := s.processes.EnsureProcess(s.ctx)
	if err != nil {
		return nil, err
	}
	r := s.start(proc, restarted)
	if r == nil {
		return nil, ErrNotDeployed
	}
	select {
	case <-r.started:
		return r, nil
	case <-r.ended:
		if r.hasStarted() { // both channels were closed
			return r, nil
		}
		err = s.finish(r)
	case <-time.After(s.o.StartTimeout):
		_ = s.finish(r)
		err = errors.New("the plug-in did not start the stub in time")
	case <-s.ctx.Done():
		_ = s.finish(r)
		err = s.ctx.Err()
	}
	return nil, err
}

// finish cleans up after a run that has not started, and returns why it ended: a [*failure.ExitError] where its process did.
func (s *Stub) finish(r *run) error {
	s.clearCurrent(nil)
	return r.cleanUp()
}

// serve waits until the current run, r or one that has taken over from it, has ended, and returns that.
func (s *Stub) serve(r *run) *run {
	for {
		var newer *run
		select {
		case <-r.pumped:
			if s.clearCurrent(r) {
				return r
			}
			newer = <-s.moved // another run took over just before
		case newer = <-s.moved:
		}
		old := r
		s.o.Group.Go(func() { s.drain(old) })
		r = newer
	}
}

// drain waits until an older run has ended, and posts the status events that it can no longer post.
func (s *Stub) drain(r *run) {
	<-r.pumped
	err := r.cleanUp()
	s.reportLost(r, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs.ended(r)
}

// Leave prevents further starts of the stub. The current run goes on; during a takeover the other run is asked to end.
func (s *Stub) Leave() { _ = s.leave() }

// leave is [Stub.Leave], and returns the run that goes on, or nil.
func (s *Stub) leave() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	if s.runs.current == nil {
		s.drop()
	}
	for _, r := range []*run{s.runs.next, s.runs.older} {
		if r != nil {
			r.askToEnd()
		}
	}
	return s.runs.current
}

// Stop ends the stub. It returns when the stub has ended; its last messages may still be on their way to Options.Message. Where
// it returns an error, [ErrHangs] or ctx's, the stub is dropped.
func (s *Stub) Stop(ctx context.Context) error {
	r := s.leave()
	if r == nil {
		<-s.over // Run waits for nothing but a function of Options
		return nil
	}
	r.askToEnd()
	late := time.NewTimer(s.o.StopGrace)
	defer late.Stop()
	select {
	case <-r.ended:
		return nil
	case <-late.C:
		s.drop()
		return ErrHangs
	case <-ctx.Done():
		s.drop()
		return ctx.Err()
	}
}
