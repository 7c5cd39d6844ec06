package stubhost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/link"
	"github.com/protofly/protofly/sdk/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// instance is a deployed stub. It outlives the processes that run it: each run is an [incarnation].
type instance struct {
	Instance
	host   *Host
	plugin *plugin
	status *statuses

	ctx      context.Context // ends when the instance is to be dropped
	end      context.CancelFunc
	deployed chan struct{} // closed when it has started for the first time
	gone     chan struct{} // closed when it is over

	mu      sync.Mutex
	current *incarnation  // nil between two
	changed chan struct{} // closed when current changes
	leaving bool          // it is not started again
	err     error         // why it never started
}

func newInstance(h *Host, p *plugin, in Instance) *instance {
	i := &instance{Instance: in, host: h, plugin: p, status: newStatuses(in),
		deployed: make(chan struct{}), gone: make(chan struct{}), changed: make(chan struct{})}
	i.ctx, i.end = context.WithCancel(h.ctx)
	p.hold()
	return i
}

// run is the instance's goroutine, and the one that calls Options.Message for it.
func (i *instance) run() {
	defer close(i.gone)
	defer i.plugin.release()
	defer i.host.remove(i)
	defer i.end()
	failures := 0
	for restarted := false; ; {
		began := time.Now()
		r, err := i.begin(restarted)
		if err == nil {
			if !restarted {
				close(i.deployed)
			}
			i.pump(r)
			err = i.finish(r)
			if i.over() {
				return
			}
			i.status.standIn(i.ctx, i.host.o.Message, err)
			restarted = true
		} else if !restarted || i.over() {
			i.fail(err)
			return
		}
		if ofProcess(err) {
			continue // the process's own delay is enough
		}
		if time.Since(began) >= i.host.o.Healthy {
			failures = 0
		}
		i.pause(failures, err)
		failures++
	}
}

// pause puts off starting a stub again that ended while its process goes on.
func (i *instance) pause(failures int, err error) {
	d := min(i.host.o.BackoffMin<<min(failures, 20), i.host.o.BackoffMax)
	d = d/2 + rand.N(d/2+1)
	i.plugin.troubled(fmt.Errorf("%s: %w", i.URL, err))
	i.host.o.Log.Error("stub ended unasked", "stub", i.URL, "plugin", i.plugin.name, "error", err,
		"next_start_in", d.Round(time.Millisecond))
	select {
	case <-time.After(d):
	case <-i.ctx.Done():
	}
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

// pump gives the core what the stub posts, until the run has ended and everything was given.
func (i *instance) pump(r *incarnation) {
	for {
		frames, err := r.lane.Recv(i.ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			m, err := message.ParseBinary(f.Payload)
			if err != nil {
				i.host.o.Log.Error("a stub's message is dropped", "stub", i.URL, "plugin", i.plugin.name, "error", err)
				continue
			}
			i.status.see(m)
			i.host.o.Message(i.ctx, i.URL, m)
		}
	}
}

// finish puts a run away and says why it ended: for the whole process an [*ExitError].
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
	return i.current
}

// stop ends the instance.
func (i *instance) stop(ctx context.Context) (err error) {
	r := i.leave()
	if r == nil {
		<-i.gone // it has nothing to wait for but a function of Options
		return nil
	}
	r.proc.conn.Control(&linkpb.Frame{Instance: r.number, Kind: &linkpb.Frame_Stop{Stop: &linkpb.Stop{}}})
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
func (i *instance) post(ctx context.Context, f sdk.Frame) error {
	late := time.NewTimer(i.host.o.PostTimeout)
	defer late.Stop()
	for {
		i.mu.Lock()
		r, changed := i.current, i.changed
		i.mu.Unlock()
		if r != nil {
			if err := r.lane.Send(ctx, f); !errors.Is(err, link.ErrClosed) {
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
	r := i.current
	i.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.door(url)
}
