package process

import (
	"context"
	"fmt"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/users"
	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
)

// Run is one run of a stub in a process. The process calls it with what the plug-in says of the stub, from the goroutine that
// reads the link.
type Run interface {
	Started()
	Ended(reason string)               // the stub's own reason, "" if it has none
	OpenDoor(f *linkpb.OpenDoor) error // an error ends the link
	CloseDoor(number uint32)
}

// Process is one running process of a plug-in, and the host's end of its link. It is made by [Start].
type Process struct {
	o      Options
	run    *runner
	client *goplugin.Client
	conn   *link.Conn
	rpc    grpc.ClientConnInterface // the gRPC connection that conn's stream belongs to
	ctx    context.Context          // of the link's stream
	cancel context.CancelFunc
	since  time.Time
	done   chan struct{} // closed when the process is gone; then err is set
	err    error
	wg     sync.WaitGroup

	mu         sync.Mutex
	version    string // of the plug-in
	runs       map[uint32]Run
	last       uint32 // number of the last run
	stopping   bool
	frozen     bool   // it was killed because it did not answer
	killedFor  string // the reason it was killed for; "": it was not
	violations violations
}

// As returns the user that it runs under.
func (pr *Process) As() users.Identity { return pr.o.As }

// Version returns the plug-in's version, as it says itself.
func (pr *Process) Version() string { return pr.version }

// PID returns the process's ID.
func (pr *Process) PID() int { return int(pr.run.pid.Load()) }

// Since returns when it was started.
func (pr *Process) Since() time.Time { return pr.since }

// Dying tells whether the link has ended. The process then ends too.
func (pr *Process) Dying() bool {
	select {
	case <-pr.conn.Done():
		return true
	default:
		return false
	}
}

// LinkDone is closed when the link has ended.
func (pr *Process) LinkDone() <-chan struct{} { return pr.conn.Done() }

// Exited tells whether the process has exited. Its cleanup may still go on.
func (pr *Process) Exited() bool { return pr.run.gone() }

// ExitText says how it exited, with the last line of its standard error.
func (pr *Process) ExitText() string { return pr.run.describeExit() }

// Done is closed when the process has exited and is cleaned up.
func (pr *Process) Done() <-chan struct{} { return pr.done }

// Err returns why it has ended: an [*failure.ExitError]. It is set when [Process.Done] is closed, and when the function given to
// [Process.Wait] is called.
func (pr *Process) Err() error { return pr.err }

// Start asks the plug-in to start a stub. It calls run with the number of the new run before the plug-in can say anything of it.
func (pr *Process) Start(stub *linkpb.Start, run func(number uint32) Run) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.last++
	pr.runs[pr.last] = run(pr.last)
	pr.conn.Control(&linkpb.Frame{Instance: pr.last, Kind: &linkpb.Frame_Start{Start: stub}})
}

// Stop asks a stub to end.
func (pr *Process) Stop(number uint32) {
	pr.conn.Control(&linkpb.Frame{Instance: number, Kind: &linkpb.Frame_Stop{Stop: &linkpb.Stop{}}})
}

// Drop forgets a run without waiting for its end.
func (pr *Process) Drop(number uint32) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	delete(pr.runs, number)
}

// Runs returns how many runs it has.
func (pr *Process) Runs() int {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return len(pr.runs)
}

// Lane returns the lane of one door of a run. Door 0 is the lane of the stub's messages.
func (pr *Process) Lane(number, door uint32) *link.Lane { return pr.conn.Lane(number, door) }

// RefuseDoor tells the plug-in that a door is refused.
func (pr *Process) RefuseDoor(number, door uint32) {
	pr.conn.Control(&linkpb.Frame{Instance: number, Kind: &linkpb.Frame_CloseDoor{CloseDoor: &linkpb.CloseDoor{Door: door}}})
}

// Control handles the link's control frames; see link.Handler. It ignores the kinds that only a host sends.
func (pr *Process) Control(f *linkpb.Frame) error {
	pr.mu.Lock()
	r := pr.runs[f.Instance]
	if _, ok := f.Kind.(*linkpb.Frame_Ended); ok {
		delete(pr.runs, f.Instance)
	}
	pr.mu.Unlock()
	if r == nil {
		return nil
	}
	switch k := f.Kind.(type) {
	case *linkpb.Frame_Started:
		r.Started()
	case *linkpb.Frame_Ended:
		r.Ended(failure.Text(k.Ended.Error, failure.MaxText))
	case *linkpb.Frame_OpenDoor:
		return r.OpenDoor(k.OpenDoor)
	case *linkpb.Frame_CloseDoor:
		r.CloseDoor(k.CloseDoor.Door)
	}
	return nil
}

// CountViolation counts one violation by the process. Where these are too many it returns the reason to kill the process.
func (pr *Process) CountViolation(what string) error {
	pr.mu.Lock()
	tooOften := pr.violations.add(time.Now())
	pr.mu.Unlock()
	if !tooOften {
		return nil
	}
	return &link.ProtocolError{What: fmt.Sprintf("more than %d times within a short time: %s", maxViolations, what)}
}

// KillFor kills the process, and sets the reason of its end.
func (pr *Process) KillFor(detail string) {
	pr.mu.Lock()
	if pr.killedFor == "" {
		pr.killedFor = detail
	}
	pr.mu.Unlock()
	pr.run.kill()
}
