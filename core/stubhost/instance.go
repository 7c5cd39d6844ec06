package stubhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/link"
	"github.com/protofly/protofly/sdk/message"
)

// instance is a deployed stub. It outlives the processes that run it: each run is an [incarnation].
type instance struct {
	Instance
	host   *Host
	plugin *plugin

	ctx      context.Context // ends when the instance is to be dropped
	end      context.CancelFunc
	deployed chan struct{} // closed when it has started for the first time
	gone     chan struct{} // closed when it is over

	telling sync.Mutex // held around Options.Message: two runs may have something to say

	mu      sync.Mutex
	current *incarnation            // nil between two
	changed chan struct{}           // closed when current changes
	leaving bool                    // it is not started again
	err     error                   // why it never started
	next    *incarnation            // is being started beside current, to take over from it; see takeover.go
	older   *incarnation            // current has taken over from it, and it has not ended yet
	asked   map[message.ID]struct{} // the requests of the younger one of two
	moved   chan *incarnation       // has room for the one that has taken over
}

func newInstance(h *Host, p *plugin, in Instance) *instance {
	i := &instance{Instance: in, host: h, plugin: p, deployed: make(chan struct{}), gone: make(chan struct{}),
		changed: make(chan struct{}), moved: make(chan *incarnation, 1)}
	i.ctx, i.end = context.WithCancel(h.ctx)
	p.hold()
	return i
}

// run is the instance's goroutine.
func (i *instance) run() {
	defer close(i.gone)
	defer i.plugin.release()
	defer i.host.remove(i)
	defer i.end()
	pauses := i.host.pauses()
	for restarted := false; ; {
		began := time.Now()
		r, err := i.begin(restarted)
		if err == nil {
			if !restarted {
				close(i.deployed)
			}
			r.pumpInBackground()
			r = i.serve(r)
			err = r.putAway()
			if i.over() {
				return
			}
			i.standIn(r, err)
			restarted = true
		} else if !restarted || i.over() {
			i.fail(err)
			return
		}
		if ofProcess(err) {
			continue // the process's own delay is enough
		}
		if time.Since(began) >= i.host.o.Healthy {
			pauses.Reset()
		}
		i.pause(pauses.Next(), err)
	}
}

// pause puts off starting a stub again that ended while its process goes on.
func (i *instance) pause(d time.Duration, err error) {
	i.plugin.troubled(fmt.Errorf("%s: %w", i.URL, err))
	i.host.o.Log.Error("stub ended unasked", "stub", i.URL, "plugin", i.plugin.name, "error", err,
		"next_start_in", d.Round(time.Millisecond))
	backoff.Sleep(i.ctx, d)
}

// pauses are those between starts that fail.
func (h *Host) pauses() backoff.Backoff {
	return backoff.Backoff{Min: h.o.BackoffMin, Max: h.o.BackoffMax}
}

// ofProcess tells whether err is about a whole process.
func ofProcess(err error) bool {
	var start *StartError
	var exit *ExitError
	return errors.As(err, &start) || errors.As(err, &exit)
}

// begin starts a run and waits until the plug-in says that it runs.
func (i *instance) begin(restarted bool) (*incarnation, error) {
	proc, err := i.plugin.process(i.ctx)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	if i.leaving {
		i.mu.Unlock()
		return nil, ErrNotDeployed
	}
	r := proc.start(i, restarted)
	i.set(r)
	i.mu.Unlock()
	select {
	case <-r.started:
		return r, nil
	case <-r.ended:
		select {
		case <-r.started: // and may have been taken over from
			return r, nil
		default:
		}
		err = i.finish(r)
	case <-time.After(i.host.o.StartTimeout):
		i.finish(r)
		err = errors.New("the plug-in did not start the stub in time")
	case <-i.ctx.Done():
		i.finish(r)
		err = i.ctx.Err()
	}
	return nil, err
}

// set changes the current run. mu is held.
func (i *instance) set(r *incarnation) {
	i.current = r
	close(i.changed)
	i.changed = make(chan struct{})
}

// serve waits until the run has ended that is the current one then, and returns it.
func (i *instance) serve(r *incarnation) *incarnation {
	for {
		var younger *incarnation
		select {
		case <-r.pumped:
			i.mu.Lock()
			if i.current == r {
				i.set(nil)
				i.mu.Unlock()
				return r
			}
			i.mu.Unlock()
			younger = <-i.moved // it was taken over from at that moment
		case younger = <-i.moved:
		}
		old := r
		i.host.wg.Go(func() { i.drain(old) })
		r = younger
	}
}

// pump gives the core what the stub posts, until the run has ended and everything was given.
func (i *instance) pump(ctx context.Context, r *incarnation) {
	condemned, turns := false, turns{}
	for {
		frames, err := r.lane.Recv(i.ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			began, offence := time.Now(), ""
			m, err := message.ParseBinary(f.Payload)
			if err != nil && condemned {
				continue // what was on its way
			} else if err != nil {
				i.host.o.Log.Error("a stub's message is dropped", "stub", i.URL, "plugin", i.plugin.name, "error", bounded(err.Error(), maxText))
				offence = "a message that cannot be read"
			} else if i.tell(ctx, r, m) != nil {
				offence = "a message that it may not send"
			}
			if i.Role != sdk.RoleNode { // that brings what others send, which the node holds back
				turns.pause(ctx, began, 1, messageTurn)
			}
			if offence == "" || condemned {
				continue
			}
			if err := r.proc.offend(offence); err != nil {
				condemned = true
				r.proc.condemn(err.Error())
			}
		}
	}
}

// tell gives the core a message of a run.
func (i *instance) tell(ctx context.Context, r *incarnation, m message.Message) error {
	i.telling.Lock()
	defer i.telling.Unlock()
	if !i.pass(r, &m) {
		return nil
	}
	return i.host.o.Message(ctx, i.URL, m)
}

// finish puts a run away that has not started and says why it ended: for the whole process an [*ExitError].
func (i *instance) finish(r *incarnation) error {
	i.mu.Lock()
	i.set(nil)
	i.mu.Unlock()
	return r.putAway()
}

// over tells whether the instance is not to be started again.
func (i *instance) over() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.leaving || i.ctx.Err() != nil
}

func (i *instance) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
}

func (i *instance) failure() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err == nil {
		return ErrNotDeployed // undeployed meanwhile
	}
	return i.err
}

// leave has the instance not be started again; nil: it does not run.
func (i *instance) leave() *incarnation {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leaving = true
	if i.current == nil {
		i.end()
	}
	for _, r := range []*incarnation{i.next, i.older} {
		if r != nil {
			r.askToEnd()
		}
	}
	return i.current
}

// stop ends the instance.
func (i *instance) stop(ctx context.Context) (err error) {
	r := i.leave()
	if r == nil {
		<-i.gone // it has nothing to wait for but a function of Options
		return nil
	}
	r.askToEnd()
	select {
	case <-r.ended:
	case <-time.After(i.host.o.StopGrace):
		err = ErrHangs
		i.end()
	case <-ctx.Done():
		err = ctx.Err()
		i.end()
	}
	i.host.remove(i)
	return err
}

// post sends a message, and waits a little for a stub that is being started again.
func (i *instance) post(ctx context.Context, m message.Message) error {
	f := sdk.Frame{Payload: m.AppendBinary(nil)}
	late := time.NewTimer(i.host.o.PostTimeout)
	defer late.Stop()
	for {
		i.mu.Lock()
		to, changed := i.current, i.changed
		if i.next != nil || i.older != nil {
			var also *incarnation
			if to, also = i.receivers(&m); also != nil {
				i.mu.Unlock()
				_ = also.lane.Send(ctx, f)
				i.mu.Lock()
			}
		}
		i.mu.Unlock()
		if to != nil {
			if m.Type == message.Response {
				to.status.answer(&m)
			}
			if err := to.lane.Send(ctx, f); !errors.Is(err, link.ErrClosed) {
				return err
			}
		}
		select {
		case <-changed:
		case <-i.gone:
			return ErrNotDeployed
		case <-late.C:
			return ErrNotRunning
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// door is an open door's lane, or nil.
func (i *instance) door(url message.URL) *link.Lane {
	i.mu.Lock()
	r, older := i.current, i.older
	i.mu.Unlock()
	for _, r := range []*incarnation{r, older} {
		if r != nil {
			if lane := r.door(url); lane != nil {
				return lane
			}
		}
	}
	return nil
}
