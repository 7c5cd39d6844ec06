package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Forward takes a message out of the house: to a Message Node function as it is, to a remote runtime through the
// session with it, or as it is to one that can have none.
func (rt *Runtime) Forward(ctx context.Context, r bus.Route, m message.Message) error {
	watch := rt.tracker.Find(m.From, m.ID)
	if r.Remote == "" || plainpeers.Sessionless(r.Remote) {
		remote, err := r.Remote, error(nil)
		if remote != "" {
			if r, err = rt.plain.Route(ctx, r, m); err != nil {
				return err
			}
		}
		watch.Leaves(r.Stub)
		if remote == "" {
			err = rt.host.Post(ctx, r.Stub, m)
		} else {
			err = rt.plain.Post(ctx, r.Stub, remote, m)
		}
		if err == nil {
			watch.Left()
		}
		return err
	}
	if r.Stub == "" { // only the runtime is given: its best way
		var err error
		if r, err = rt.registry.RouteTo(r.Remote); err != nil {
			return err
		}
	}
	post := rt.sessions.Post
	if watch != nil {
		post = rt.sessions.Watch
	}
	err := post(ctx, r.Remote, path(r), m)
	if errors.Is(err, session.ErrUntrusted) {
		return &message.ResponseError{Code: message.CodeForbidden, From: rt.URL(), Description: err.Error()}
	}
	return err
}

func path(r bus.Route) session.Path {
	return session.Path{Door: r.Door, Stub: r.Stub, Direct: r.Direct}
}

// route is the best way to a runtime, for a session's own frames.
func (rt *Runtime) route(remote message.URL) (session.Path, bool) {
	r, err := rt.registry.RouteTo(remote)
	return path(r), err == nil
}

// pathChanged is told by the Registry that the best way to a runtime is another one now.
func (rt *Runtime) pathChanged(remote message.URL, r bus.Route) {
	rt.sessions.UsePath(remote, path(r))
}

// sendFrames hands a session's frames to a door.
func (rt *Runtime) sendFrames(ctx context.Context, p session.Path, remote message.URL, payloads ...[]byte) error {
	frames := rt.addressed(p, remote, payloads...)
	defer rt.sent(frames)
	return rt.host.Send(ctx, p.Stub, p.Door, *frames...)
}

// trySendFrame is sendFrames for one frame, where that waits for nothing.
func (rt *Runtime) trySendFrame(p session.Path, remote message.URL, payload []byte) bool {
	frames := rt.addressed(p, remote, payload)
	defer rt.sent(frames)
	return rt.host.TrySend(p.Stub, p.Door, *frames...)
}

// addressed is payloads as frames to a remote runtime, in a list that sent takes back.
func (rt *Runtime) addressed(p session.Path, remote message.URL, payloads ...[]byte) *[]sdk.Frame {
	frames, ok := rt.frames.Get().(*[]sdk.Frame)
	if !ok {
		frames = new([]sdk.Frame)
	}
	for _, payload := range payloads {
		f := sdk.Frame{Payload: payload}
		if !p.Direct {
			f.Peer = remote
		}
		*frames = append(*frames, f)
	}
	return frames
}

func (rt *Runtime) sent(frames *[]sdk.Frame) {
	clear(*frames)
	*frames = (*frames)[:0]
	rt.frames.Put(frames)
}

// framesIn takes frames that came in through a door to the session that they are for. What is in whose name is only
// said here, and proven there. It is false where none is in anybody's.
func (rt *Runtime) framesIn(ctx context.Context, stub, door message.URL, frames []sdk.Frame) (taken bool) {
	direct := rt.doors.remote(door)
	for _, f := range frames {
		remote := direct
		if remote == "" {
			remote = rt.relayedFrom(stub, f.Peer)
		}
		if remote == "" || remote == rt.URL() {
			rt.log.Warn("frame from nobody dropped", "door", door, "peer", f.Peer)
			continue
		}
		taken = true
		if rt.trace.Watched() {
			rt.trace.Emit(trace.Event{Kind: trace.FrameIn, Via: door, Peer: remote, Value: session.FrameName(f.Payload)})
		}
		rt.sessions.Receive(ctx, remote, session.Path{Door: door, Stub: stub, Direct: direct != ""}, f.Payload)
	}
	return taken
}

// announced takes the addresses that a remote runtime says are its own; see session.Options.
func (rt *Runtime) announced(ctx context.Context, remote message.URL, addresses []message.URL) {
	rt.registry.Announced(ctx, remote, addresses)
}

// ended takes the addresses that a remote runtime says it has given up; see session.Options.
func (rt *Runtime) ended(ctx context.Context, remote message.URL, addresses []message.URL) {
	rt.registry.Ended(ctx, remote, addresses)
}

// relayedFrom is the runtime that a Message Node names as the sender of a frame, "" where this node may not speak for it.
// A runtime is reached by the node of its own domain, and reaches this one by the node of this one's domain, as a client of
// its: so these two may, and no other.
func (rt *Runtime) relayedFrom(stub, peer message.URL) message.URL {
	remote := peer.Runtime()
	if remote == "" || plainpeers.Sessionless(remote) {
		return ""
	}
	d, ok := rt.stubs.get(stub)
	if !ok || d.Role != sdk.RoleNode || d.Domain != rt.config.Domain && d.Domain != remote.NodeDomain() {
		return ""
	}
	return remote
}

// deliver takes a message out of a session; see session.Options.
func (rt *Runtime) deliver(ctx context.Context, d *session.Delivery) bool {
	if err := rt.admit(ctx, d); err != nil {
		if !d.Wait && errors.Is(err, context.Canceled) { // somebody has to be asked
			return ctx.Err() != nil
		}
		rt.log.Warn("invitation in another's name refused", "runtime", d.Remote, "to", d.Message.To, "error", err)
		no := &message.ResponseError{Code: message.CodeForbidden, From: d.Message.To, Description: err.Error()}
		if known := (*message.ResponseError)(nil); errors.As(err, &known) {
			no.Code = known.Code
		}
		d.Receipt.Failed(d.Message, no)
		return true
	}
	return rt.bus.Accept(ctx, &bus.Arrival{Remote: d.Remote, Door: d.Door, Message: d.Message, Receipt: d.Receipt, Wait: d.Wait, Again: d.Again})
}

// deliverRun is deliver for several messages that have all the same but their IDs and bodies; see session.Options. What
// needs to be looked at one by one it leaves to deliver.
func (rt *Runtime) deliverRun(r *session.Run) int {
	if r.Messages[0].Message.Type == message.Create { // see admit
		return 0
	}
	return rt.bus.AcceptRun(r.Remote, r.Messages)
}

// admit checks what only the session knows: a runtime may invite a Handler of this runtime in its own name alone. Else
// it could have the connection with somebody else replaced. A component is invited to a data object in the name of that
// object's reporter, who has to be of the runtime as well.
func (rt *Runtime) admit(ctx context.Context, d *session.Delivery) error {
	m := &d.Message
	if m.Type != message.Create {
		return nil
	}
	invited := strings.HasSuffix(string(m.From), "/subscription")
	if handler := rt.stubs.is(m.To, sdk.RoleHandler); !handler && !invited {
		return nil
	} else if handler {
		invited = false
	}
	var body struct {
		Value struct {
			Runtime  message.URL `json:"runtime"`
			Reporter message.URL `json:"reporter"`
		} `json:"value"`
	}
	if err := m.Decode(&body); err != nil {
		return err
	}
	if invited {
		if !d.Wait {
			now, over := context.WithCancel(ctx)
			over()
			ctx = now
		}
		return rt.ownedBy(ctx, d.Remote, cmp.Or(body.Value.Reporter, m.Source, m.From))
	}
	if body.Value.Runtime.Canonical() != d.Remote.Canonical() {
		return fmt.Errorf("%s invites in the name of %s", d.Remote, body.Value.Runtime)
	}
	return nil
}

// ownedBy refuses where a component, which the runtime remote says is its own, is another's. It says so inside its session: that
// is an announcement.
func (rt *Runtime) ownedBy(ctx context.Context, remote, component message.URL) error {
	component, err := message.ParseURL(string(component))
	if err != nil {
		return err
	}
	if !plainpeers.Sessionless(remote) && !component.IsRuntime() && ctx.Err() == nil {
		rt.registry.Announced(ctx, remote, []message.URL{component})
	}
	return rt.registry.Verify(ctx, remote, component)
}

// sessionEvent is told what happens to sessions.
func (rt *Runtime) sessionEvent(e session.Event) {
	rt.tracker.Session(e)
	switch e.Kind {
	case session.Settled:
	case session.Version:
		rt.log.Error("remote runtime of another version", "remote", e.Remote, "door", e.Path.Door, "why", e.Why)
	case session.Stalled:
		if e.Path.Direct { // it is up, but carries nothing
			rt.registry.Suspect(e.Remote, e.Path.Door)
		}
		rt.log.Warn("nothing is acknowledged", "remote", e.Remote, "door", e.Path.Door)
	case session.Left:
		rt.registry.Suspect(e.Remote, e.Path.Door)
		rt.log.Info("the other side has left the direct path", "remote", e.Remote, "door", e.Path.Door)
	case session.Reset:
		rt.sync.RuntimeGone(e.Remote) // what it observed here it has forgotten
		rt.sync.Refresh(e.Remote)     // and who observes it from here
		rt.log.Info("remote runtime has restarted", "remote", e.Remote, "in doubt", len(e.IDs))
		rt.refusals.GivenUp(e)
	case session.Expired, session.Closed:
		rt.log.Warn("messages given up", "remote", e.Remote, "messages", len(e.IDs), "may have arrived", e.MayHaveArrived, "why", e.Why)
		rt.refusals.GivenUp(e)
	case session.Untrusted:
		rt.log.Error("remote runtime refused", "remote", e.Remote, "door", e.Path.Door, "why", e.Why)
		rt.trace.Emit(trace.Event{Kind: trace.Untrusted, Peer: e.Remote, Via: e.Path.Door, Value: e.Why})
	case session.Refused:
		rt.log.Warn("remote runtime sent what is no message", "remote", e.Remote, "why", e.Why)
	default:
		rt.log.Debug("session "+string(e.Kind), "remote", e.Remote, "door", e.Path.Door, "before", e.Before.Door, "why", e.Why)
	}
}

// doors is which remote runtime is behind the door of a P2P stub.
type doors struct {
	mu sync.RWMutex
	to map[message.URL]message.URL // two for each in of
	of map[handled][2]message.URL  // the door that a stub has for a runtime, and the one before: it may be in use still; at most the peers of the stubs that run
}

type handled struct{ stub, remote message.URL }

// set notes that the stub's door leads to remote. The one that the stub had for it before leads there until the next
// comes.
func (d *doors) set(stub, door, remote message.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to == nil {
		d.to, d.of = map[message.URL]message.URL{}, map[handled][2]message.URL{}
	}
	key := handled{stub, remote}
	before := d.of[key]
	if before[0] == door {
		return
	}
	delete(d.to, before[1])
	d.to[door], d.of[key] = remote, [2]message.URL{door, before[0]}
}

// drop forgets the doors of a stub that has ended.
func (d *doors) drop(stub message.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, both := range d.of {
		if key.stub == stub {
			delete(d.to, both[0])
			delete(d.to, both[1])
			delete(d.of, key)
		}
	}
}

func (d *doors) remote(door message.URL) message.URL {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.to[door]
}
