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

// Run is one run of a stub in a process, as the plug-in speaks of it over the link. The calls come from the link's one reader.
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
	rpc    grpc.ClientConnInterface // what conn's stream is one of the calls of
	ctx    context.Context          // of the link's stream
	cancel context.CancelFunc
	since  time.Time
	done   chan struct{} // closed when the process is gone; err says why
	err    error
	wg     sync.WaitGroup

	mu       sync.Mutex
	version  string // of the plug-in
	runs     map[uint32]Run
	last     uint32 // run's number
	stopping bool
	frozen   bool   // it was killed because it did not answer
	guilt    string // what it was killed for; "": nothing
	offences offences
}

// As is whom it runs under.
func (pr *Process) As() users.Identity { return pr.o.As }

// Version is what the plug-in says that it is.
func (pr *Process) Version() string { return pr.version }

// PID is the number of the process.
func (pr *Process) PID() int { return int(pr.run.pid.Load()) }

// Since is when it was started.
func (pr *Process) Since() time.Time { return pr.since }

// Dying tells whether the link has ended; the process follows it.
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

// Exited tells whether the process has ended. What it has left behind may not be put away yet.
func (pr *Process) Exited() bool { return pr.run.gone() }

// ExitText is how it ended, and what it said last.
func (pr *Process) ExitText() string { return pr.run.describeExit() }

// Done is closed when the process is gone, with everything that was its.
func (pr *Process) Done() <-chan struct{} { return pr.done }

// Err is why it has ended: an [*failure.ExitError]. It is there when [Process.Done] is closed, and for the function that
// [Process.Watch] calls.
func (pr *Process) Err() error { return pr.err }

// Start has the plug-in start a stub. run makes the run from its number, before the plug-in says anything of it.
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

// Drop forgets a run that does not end.
func (pr *Process) Drop(number uint32) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	delete(pr.runs, number)
}

// Runs is how many runs it has.
func (pr *Process) Runs() int {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return len(pr.runs)
}

// Lane is the lane of one door of a run; door 0 is for the stub's messages.
func (pr *Process) Lane(number, door uint32) *link.Lane { return pr.conn.Lane(number, door) }

// RefuseDoor tells the plug-in that a door is not opened.
func (pr *Process) RefuseDoor(number, door uint32) {
	pr.conn.Control(&linkpb.Frame{Instance: number, Kind: &linkpb.Frame_CloseDoor{CloseDoor: &linkpb.CloseDoor{Door: door}}})
}

// Control takes the link's control frames; see link.Handler. Kinds that only a host sends are ignored.
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

// Offend counts what the process has done wrong and what does not end it by itself. It returns the reason to end it where
// that is too often.
func (pr *Process) Offend(what string) error {
	pr.mu.Lock()
	tooOften := pr.offences.add(time.Now())
	pr.mu.Unlock()
	if !tooOften {
		return nil
	}
	return &link.ProtocolError{What: fmt.Sprintf("more than %d times within a short time: %s", maxOffences, what)}
}

// Condemn kills the process for what it has done, and notes that as the reason of its end.
func (pr *Process) Condemn(detail string) {
	pr.mu.Lock()
	if pr.guilt == "" {
		pr.guilt = detail
	}
	pr.mu.Unlock()
	pr.run.kill()
}
