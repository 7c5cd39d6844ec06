package stub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/status"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// run is one run of a stub, in one process, which calls it about the stub: see [process.Run].
type run struct {
	o       *Options
	spec    *Spec
	proc    *process.Process
	number  uint32
	lane    *link.Lane    // its messages
	started chan struct{} // closed when the plug-in says that the stub has started
	ended   chan struct{} // closed when the stub has ended, or its link has
	pumped  chan struct{} // closed when all that it has posted was passed to the core
	ready   chan struct{} // closed when it has answered the probe, or is live
	status  *status.Table

	ctx    context.Context // of its doors' frames
	cancel context.CancelFunc
	wg     sync.WaitGroup // a goroutine for each door, and one for the link's end

	mu      sync.Mutex
	isReady bool
	running bool
	over    bool
	err     string // the stub's own reason
	doors   doors
}

var _ process.Run = (*run)(nil)

// drainGrace is how long data and messages of a run that has ended may take to be passed to the core.
const drainGrace = time.Second

// startIn starts the stub in the process. ctx is the stub's.
func startIn(ctx context.Context, proc *process.Process, o *Options, spec *Spec, restarted bool) (r *run) {
	proc.Start(&linkpb.Start{
		Url: string(spec.URL), Runtime: string(spec.Runtime), Role: string(spec.Role), Domain: spec.Domain,
		Remote: string(spec.Remote), Handler: string(spec.Handler), Config: spec.Config, Restarted: restarted,
	}, func(number uint32) process.Run {
		r = newRun(ctx, proc, o, spec, number, restarted)
		return r
	})
	return r
}

func newRun(ctx context.Context, proc *process.Process, o *Options, spec *Spec, number uint32, restarted bool) *run {
	var settingUp message.URL
	if spec.Role == sdk.RoleRequester && !restarted {
		settingUp = spec.Remote // a Requester sets up its connection as soon as it starts
	}
	r := &run{o: o, spec: spec, proc: proc, number: number, lane: proc.Lane(number, 0), started: make(chan struct{}),
		ended: make(chan struct{}), pumped: make(chan struct{}), ready: make(chan struct{}), status: status.New(spec.URL, settingUp)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.wg.Go(func() {
		select {
		case <-proc.LinkDone():
			r.Ended("")
		case <-r.ended:
		}
	})
	return r
}

// Started notes that the stub has started.
func (r *run) Started() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		r.running = true
		close(r.started)
	}
}

// hasStarted tells whether the plug-in has said that the stub has started.
func (r *run) hasStarted() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// becomeReady notes that the run can take over.
func (r *run) becomeReady() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.isReady {
		r.isReady = true
		close(r.ready)
	}
}

// Ended notes the end of the stub. What has arrived can still be received.
func (r *run) Ended(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over, r.err = true, reason
	r.lane.End()
	r.doors.end()
	close(r.ended)
}

// reason returns why the run has ended.
func (r *run) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == "" {
		return errors.New("it returned, or its process ended")
	}
	return errors.New(r.err)
}

// OpenDoor adds a door that the stub opens, and a goroutine that passes its frames to the core.
func (r *run) OpenDoor(f *linkpb.OpenDoor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil
	}
	if err := r.doors.next(f.Door, r.spec.URL); err != nil {
		return err
	}
	url, ok := doorURL(f.Url, r.spec.URL)
	if !ok || !r.doors.mayOpen(url) {
		if err := r.proc.CountViolation("it opens a door that is not its own, is open already, or is one too many"); err != nil {
			return err
		}
		r.o.Log.Warn("a door is refused", "stub", r.spec.URL, "door", failure.Text(f.Url, failure.MaxText))
		r.proc.RefuseDoor(r.number, f.Door)
		return nil
	}
	lane := r.proc.Lane(r.number, f.Door)
	r.doors.open(f.Door, url, lane)
	r.wg.Go(func() {
		r.pumpDoor(url, lane)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.doors.pumped()
	})
	return nil
}

// CloseDoor removes a door that the stub has closed.
func (r *run) CloseDoor(number uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doors.close(number)
}

// door returns the lane of an open door, or nil.
func (r *run) door(url message.URL) *link.Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doors.lane(url)
}

// pumpDoor passes the frames of one door to the core.
func (r *run) pumpDoor(url message.URL, lane *link.Lane) {
	defer lane.Close() // what was not handed on counts no more
	in := r.intake(url)
	var prompt func([]link.Frame) bool
	if r.o.Prompt {
		prompt = in.prompt
	}
	_ = lane.Pump(r.ctx, prompt, func(frames []link.Frame) { in.handle(r.ctx, frames) })
}

// intake is what gives the core the frames of a door, one call at a time.
func (r *run) intake(door message.URL) *intake {
	return &intake{throttled: r.spec.Role != sdk.RoleNode, give: func(frames []sdk.Frame) bool {
		return r.o.Frames(r.ctx, r.spec.URL, door, frames)
	}}
}

// askToEnd asks the stub to end.
func (r *run) askToEnd() { r.proc.Stop(r.number) }

// end asks the stub to end, and waits for that for Options.StopGrace at most.
func (r *run) end() {
	r.askToEnd()
	late := time.NewTimer(r.o.StopGrace)
	defer late.Stop()
	select {
	case <-r.ended:
	case <-late.C:
	}
}

// cleanUp waits until the doors' frames are passed on, frees everything, and returns why the run has ended.
func (r *run) cleanUp() error {
	select {
	case <-r.ended:
		drained := time.AfterFunc(drainGrace, r.cancel)
		defer drained.Stop()
	default: // dropped before its end
		r.proc.Drop(r.number)
		r.Ended("")
		r.cancel()
	}
	r.wg.Wait()
	r.cancel()
	r.lane.Close()
	select {
	case <-r.proc.LinkDone():
		<-r.proc.Done()
		return r.proc.Err()
	default:
	}
	if r.err != "" {
		return errors.New(r.err)
	}
	return errors.New("it returned")
}
