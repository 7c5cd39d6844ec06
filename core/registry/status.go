package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// statusEvent is what a stub says on <stub>/status (specification, "Status").
type statusEvent struct {
	Value    message.Status
	Resource message.URL // the remote runtime, of P2P stubs; canonical
	Desc     string
}

const maxDesc = 512

var errStatus = errors.New("status event")

// parseStatus reads a status event. The specification's "create" and later code's "update" are both taken.
func parseStatus(m *message.Message) (statusEvent, error) {
	var body struct {
		Value    string          `json:"value"`
		Resource string          `json:"resource"`
		Desc     json.RawMessage `json:"desc"`
	}
	if m.Type != message.Update && m.Type != message.Create {
		return statusEvent{}, fmt.Errorf("%w: an update is wanted, not a %s", errStatus, m.Type)
	}
	if err := m.Decode(&body); err != nil {
		return statusEvent{}, fmt.Errorf("%w: %w", errStatus, err)
	}
	var ev statusEvent
	var err error
	if ev.Value, err = message.ParseStatus(body.Value); err != nil {
		return statusEvent{}, fmt.Errorf("%w: %w", errStatus, err)
	}
	if body.Resource != "" {
		url, err := message.ParseURL(body.Resource)
		if err == nil && url.Runtime() == "" {
			err = fmt.Errorf("%s is no runtime", url)
		}
		if err != nil {
			return statusEvent{}, fmt.Errorf("%w: resource: %w", errStatus, err)
		}
		ev.Resource = url.Runtime()
	}
	if json.Unmarshal(body.Desc, &ev.Desc) == nil {
		ev.Desc = ev.Desc[:min(len(ev.Desc), maxDesc)]
	}
	return ev, nil
}

// receiveStatus takes what is posted to <stub>/status. Only the stub itself is believed.
func (r *Registry) receiveStatus(ctx context.Context, s *stub, m message.Message) {
	if m.Type == message.Response {
		return
	}
	if m.From.Canonical() != s.URL.Canonical() {
		r.opts.Log.Warn("status of a stub from somebody else refused", "stub", s.URL, "from", m.From)
		r.opts.Bus.Reply(m.Refuse(message.CodeForbidden, "only %s posts its status", s.URL))
		return
	}
	ev, err := parseStatus(&m)
	if err != nil {
		r.opts.Log.Warn("malformed status refused", "stub", s.URL, "error", err)
		r.opts.Bus.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	r.do(func() {
		if known, ok := r.stubs.get(s.URL.Canonical()); !ok || known != s {
			return // undeployed meanwhile
		}
		r.opts.Trace.Message(trace.Status, m, trace.Event{Peer: ev.Resource, Via: s.URL, Value: ev.Value.String()})
		switch {
		case s.Role == sdk.RoleNode:
			r.nodeStatus(s, ev)
		case s.Role == sdk.RoleRequester:
			r.requesterStatus(s, ev)
		case ev.Resource == "": // of the Handler itself
			s.to(ev.Value, ev.Desc)
		case ev.Value == message.Created:
			r.handlerCreated(s, ev, m)
		default:
			r.handlerStatus(s, ev)
		}
	})
}

// move is the one place where a P2P connection changes its state. A repeated state changes nothing; an illegal move is
// refused and logged. It runs in the loop.
func (r *Registry) move(c *connection, to message.Status, desc string) bool {
	if c.state == to {
		return false
	}
	if !mayMove(c.state, to) {
		err := &MoveError{Remote: c.remote.url, From: c.state, To: to}
		r.opts.Log.Warn("illegal status refused", "stub", c.stub, "error", err)
		return false
	}
	c.state, c.since, c.desc = to, time.Now(), desc
	if s, ok := r.stubs.get(c.stub.Canonical()); ok && s.Role == sdk.RoleRequester {
		s.to(to, desc)
	}
	if to == message.Live || to == message.Failed {
		r.cancel(c.deadline)
	}
	r.shown(c)
	return true
}

// shown has everybody see c's new state.
func (r *Registry) shown(c *connection) {
	r.opts.Trace.Emit(trace.Event{Kind: trace.Connection, Peer: c.remote.url, Via: c.door, From: c.stub, Value: c.state.String()})
	if c.remote.conn == c {
		r.refreshWay(c.remote)
	}
}

// requesterStatus is a status event of a P2P Requester. It runs in the loop.
func (r *Registry) requesterStatus(s *stub, ev statusEvent) {
	c := s.conn
	if c == nil || !c.in(c.remote) || ev.Resource != "" && ev.Resource != c.remote.url {
		r.opts.Log.Debug("status of a connection that is no more", "stub", s.URL, "status", ev.Value)
		return
	}
	switch ev.Value {
	case message.Live:
		if mayMove(c.state, message.Live) {
			c.door = c.stub
			r.promote(c)
		}
		if r.move(c, message.Live, ev.Desc) {
			r.live(c)
		}
	case message.Failed:
		r.fail(c, ev.Desc)
	case message.Disconnected:
		r.disconnect(c, ev.Desc)
	default:
		r.move(c, ev.Value, ev.Desc)
	}
}

// handlerStatus is a status event of a P2P Handler about one of its peers, other than created. It runs in the loop.
func (r *Registry) handlerStatus(s *stub, ev statusEvent) {
	var c *connection
	rem, ok := r.remotes.get(ev.Resource)
	if ok {
		c = rem.meant(ev.Value)
	}
	if c == nil || c.stub != s.URL {
		r.opts.Log.Debug("status of a connection that is no more", "stub", s.URL, "peer", ev.Resource, "status", ev.Value)
		return
	}
	switch ev.Value {
	case message.Live:
		r.complete(c)
	case message.Failed:
		r.fail(c, ev.Desc)
	case message.Disconnected:
		if c.completing { // the channel died while its door was being registered
			c.completing = false
			r.fail(c, ev.Desc)
			return
		}
		r.disconnect(c, ev.Desc)
	default:
		r.move(c, ev.Value, ev.Desc)
	}
}

// live is what follows when a connection has become live. It runs in the loop.
func (r *Registry) live(c *connection) {
	c.remote.choice = 0
	c.remote.retryAt = time.Time{}
	r.refreshWay(c.remote)
	r.follow(c.remote)
	if c.renew {
		c.renew = false
		r.renew(c)
	}
}

// disconnect is the end of a live connection. A Requester is asked to connect again: by the next message, or soon
// anyway; one that keeps failing soon after it was live waits longer each time. A Handler's entry waits a moment for
// the Requester of the other side, and goes. It runs in the loop.
func (r *Registry) disconnect(c *connection, desc string) {
	lived := time.Since(c.since)
	rem := c.remote
	if c.state != message.Live {
		r.move(c, message.Disconnected, desc) // refused, and said so
		return
	}
	if rem.next != nil && rem.conn == c { // what is being set up to follow it is the connection now
		r.move(c, message.Disconnected, desc)
		r.promote(rem.next)
		r.refreshWay(rem)
		return
	}
	rem.retryAt = time.Time{}
	if lived < flapTime {
		rem.failures++
	} else {
		rem.failures = 0
	}
	pause := jitter(r.opts.ReconnectDelay)
	if c.role == sdk.RoleHandler {
		pause = r.opts.HandlerGrace
		rem.retryAt = time.Now().Add(pause)
	} else if rem.failures > 1 {
		pause = r.backoff(rem.failures - 1)
		rem.retryAt = time.Now().Add(pause)
	}
	r.closeDoor(c)
	r.move(c, message.Disconnected, desc)
	r.expireFollower(rem)
	r.later(pause, func() {
		if rem.conn != c || c.state != message.Disconnected {
			return
		}
		if c.role == sdk.RoleHandler {
			rem.conn = nil
			r.refreshWay(rem)
			return
		}
		r.consider(rem, "")
	})
}

// closeDoor ends the door's listener on the MessageBus. It runs in the loop.
func (r *Registry) closeDoor(c *connection) {
	if stop := c.stopDoor; stop != nil {
		c.stopDoor = nil
		r.spawn(func(context.Context) { stop() })
	}
}
