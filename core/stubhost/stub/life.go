package stub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/internal/backoff"
)

// Run runs the stub until it is to end. It is called once.
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
			err = r.putAway()
			if s.ending() {
				return
			}
			s.standIn(r, err)
			restarted = true
		} else if !restarted || s.ending() {
			s.fail(err)
			return
		}
		if ofProcess(err) {
			continue // the process's own delay is enough
		}
		if time.Since(began) >= s.o.Healthy {
			pauses.Reset()
		}
		s.pause(pauses.Next(), err)
	}
}

// pause puts off starting a stub again that ended while its process goes on.
func (s *Stub) pause(d time.Duration, err error) {
	s.processes.Troubled(fmt.Errorf("%s: %w", s.URL, err))
	s.o.Log.Error("stub ended unasked", "stub", s.URL, "plugin", s.plugin, "error", err, "next_start_in", d.Round(time.Millisecond))
	backoff.Sleep(s.ctx, d)
}

// ofProcess tells whether err is about a whole process.
func ofProcess(err error) bool {
	var start *failure.StartError
	var exit *failure.ExitError
	return errors.As(err, &start) || errors.As(err, &exit)
}

// begin starts a run and waits until the plug-in says that it runs.
func (s *Stub) begin(restarted bool) (*run, error) {
	proc, err := s.processes.Process(s.ctx)
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
		if r.hasStarted() { // and may have been taken over from
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

// finish puts a run away that has not started and says why it ended: for the whole process a [*failure.ExitError].
func (s *Stub) finish(r *run) error {
	s.vacate(nil)
	return r.putAway()
}

// serve waits until the run has ended that is the current one then, and returns it.
func (s *Stub) serve(r *run) *run {
	for {
		var younger *run
		select {
		case <-r.pumped:
			if s.vacate(r) {
				return r
			}
			younger = <-s.moved // it was taken over from at that moment
		case younger = <-s.moved:
		}
		old := r
		s.o.Group.Go(func() { s.drain(old) })
		r = younger
	}
}

// drain waits until a run has ended that was taken over from, and says what it no longer can.
func (s *Stub) drain(r *run) {
	<-r.pumped
	err := r.putAway()
	s.standIn(r, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs.ended(r)
}

// Leave has the stub not be started again. What runs goes on, unless it is one of two runs.
func (s *Stub) Leave() { _ = s.leave() }

// leave is [Stub.Leave]; it returns the run that goes on, nil if there is none.
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

// Stop ends the stub. It returns when the stub has ended; what it posted last may still be on its way to Options.Message. The
// error is [ErrHangs] (it is dropped all the same) or ctx's.
func (s *Stub) Stop(ctx context.Context) error {
	r := s.leave()
	if r == nil {
		<-s.over // it has nothing to wait for but a function of Options
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
