package stubhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/link"
	"github.com/protofly/protofly/sdk/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// incarnation is one run of an instance, in one process.
type incarnation struct {
	inst    *instance
	proc    *process
	number  uint32
	lane    *link.Lane    // its messages
	started chan struct{} // closed when the plug-in says that it runs
	ended   chan struct{} // closed when it has ended, or its link has
	pumped  chan struct{} // closed when everything that it has posted was given to the core
	ready   chan struct{} // closed when it has answered a probe, or is live; see takeover.go
	status  *statuses

	ctx    context.Context // of its doors' frames
	cancel context.CancelFunc
	wg     sync.WaitGroup // a goroutine for each door, and one for the link's end

	mu       sync.Mutex
	isReady  bool
	running  bool
	over     bool
	err      string // the stub's own reason
	lastDoor uint32
	pumping  int // doors whose frames are handed on, closed ones among them
	byNumber map[uint32]*hostDoor
	byURL    map[message.URL]*hostDoor // by canonical URL
}

type hostDoor struct {
	url  message.URL // canonical
	lane *link.Lane
}

// maxPumping bounds the doors of a run that are open, or were and have frames left.
const maxPumping = 2 * link.MaxDoors

// drainGrace is how long the data that a run has left may take to be handed on when it has ended.
const drainGrace = time.Second

func newIncarnation(i *instance, pr *process, number uint32, restarted bool) *incarnation {
	r := &incarnation{inst: i, proc: pr, number: number, lane: pr.conn.Lane(number, 0), started: make(chan struct{}), ended: make(chan struct{}),
		pumped: make(chan struct{}), ready: make(chan struct{}), status: newStatuses(i.Instance, restarted),
		byNumber: map[uint32]*hostDoor{}, byURL: map[message.URL]*hostDoor{}}
	r.ctx, r.cancel = context.WithCancel(i.ctx)
	r.wg.Go(func() {
		select {
		case <-pr.conn.Done():
			r.finish("")
		case <-r.ended:
		}
	})
	return r
}

// pumpInBackground has the core given what the stub posts, until r.pumped is closed.
func (r *incarnation) pumpInBackground() {
	r.inst.host.wg.Go(func() { // started by a goroutine in wg
		defer close(r.pumped)
		ctx, cancel := context.WithCancel(r.inst.ctx)
		defer cancel()
		r.wg.Go(func() {
			select {
			case <-r.pumped:
				return
			case <-r.ended:
			}
			late := time.NewTimer(drainGrace)
			defer late.Stop()
			select {
			case <-r.pumped:
			case <-late.C: // the core may be waiting for the stub itself, to be started again
				cancel()
			}
		})
		r.inst.pump(ctx, r)
	})
}

// askToEnd asks the stub to end.
func (r *incarnation) askToEnd() {
	r.proc.conn.Control(&linkpb.Frame{Instance: r.number, Kind: &linkpb.Frame_Stop{Stop: &linkpb.Stop{}}})
}

func (r *incarnation) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		r.running = true
		close(r.started)
	}
}

// finish is the run's end. What has arrived can still be received.
func (r *incarnation) finish(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over, r.err = true, reason
	r.lane.End()
	for _, d := range r.byNumber {
		d.lane.End()
	}
	close(r.ended)
}

// open adds a door that the stub opens, and a goroutine that hands on its frames.
func (r *incarnation) open(f *linkpb.OpenDoor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil
	}
	if f.Door <= r.lastDoor {
		return &link.ProtocolError{What: fmt.Sprintf("door number %d of stub %s is not a new one", f.Door, r.inst.URL)}
	}
	r.lastDoor = f.Door
	url, ok := doorURL(f.Url, r.inst.URL)
	key := url.Canonical()
	if !ok || len(r.byURL) >= link.MaxDoors || r.pumping >= maxPumping || r.byURL[key] != nil {
		if err := r.proc.offend("it opens a door that is not its own, is open, or is one too many"); err != nil {
			return err
		}
		r.inst.host.o.Log.Warn("a door is refused", "stub", r.inst.URL, "door", bounded(f.Url, maxText))
		r.proc.refuse(r.number, f.Door)
		return nil
	}
	d := &hostDoor{url: key, lane: r.proc.conn.Lane(r.number, f.Door)}
	r.byNumber[f.Door], r.byURL[key] = d, d
	r.pumping++
	r.wg.Go(func() {
		r.pump(url, d.lane)
		r.mu.Lock()
		r.pumping--
		r.mu.Unlock()
	})
	return nil
}

// pump hands on the frames of one door.
func (r *incarnation) pump(url message.URL, lane *link.Lane) {
	defer lane.Close() // what was not handed on counts no more
	o := &r.inst.host.o
	var useless turns // of one call at a time
	handle := func(frames []link.Frame) {
		if began := time.Now(); !o.Frames(r.ctx, r.inst.URL, url, frames) && r.inst.Role != sdk.RoleNode {
			useless.pause(r.ctx, began, len(frames), frameTurn)
		}
	}
	var prompt func([]link.Frame) bool
	if o.Prompt {
		prompt = func(frames []link.Frame) bool {
			if useless.due(time.Now()) > 0 {
				return false
			}
			if began := time.Now(); !o.Frames(r.ctx, r.inst.URL, url, frames) && r.inst.Role != sdk.RoleNode {
				useless.add(began, len(frames), frameTurn)
			}
			return true
		}
	}
	_ = lane.Pump(r.ctx, prompt, handle)
}

// close removes a door that the stub has closed.
func (r *incarnation) close(number uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.byNumber[number]; d != nil {
		delete(r.byNumber, number)
		delete(r.byURL, d.url)
		d.lane.End()
	}
}

func (r *incarnation) door(url message.URL) *link.Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.byURL[url.Canonical()]; d != nil {
		return d.lane
	}
	return nil
}

// putAway waits until the doors' frames are handed on, frees everything, and says why the run has ended.
func (r *incarnation) putAway() error {
	select {
	case <-r.ended:
		drained := time.AfterFunc(drainGrace, r.cancel)
		defer drained.Stop()
	default: // it is dropped while it runs
		r.proc.drop(r.number)
		r.finish("")
		r.cancel()
	}
	r.wg.Wait()
	r.cancel()
	r.lane.Close()
	select {
	case <-r.proc.conn.Done():
		<-r.proc.done
		return r.proc.err
	default:
	}
	if r.err != "" {
		return errors.New(r.err)
	}
	return errors.New("it returned")
}
