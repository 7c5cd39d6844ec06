package registry

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// The methods by which one Registry asks another one for something (specification, "execute"): only about the connection
// between the two.
const (
	methodRenew = "renew" // to the requester's Registry: set the connection up again, and keep the live one until then
	methodKeep  = "keep"  // to the handler's Registry: the next invitation renews the connection, so keep the live one until then
)

// fulfilAll does all that the connections want, after one of their methods was called. It runs in the loop.
func (r *Registry) fulfilAll() {
	for wants := r.peers.Take(); len(wants) > 0; wants = r.peers.Take() {
		for i := range wants {
			r.fulfil(&wants[i])
		}
	}
	r.loop.Cancel(r.due)
	r.due = nil
	if next, ok := r.peers.Next(); ok {
		r.due = r.loop.At(next, func() {
			r.peers.Tick(time.Now())
			r.fulfilAll()
		})
	}
}

// fulfil does one thing that the connections want. What may block runs in the background, and then reports its result to the
// connections.
func (r *Registry) fulfil(w *connections.Want) {
	c := &w.Connection
	switch w.Kind {
	case connections.ShowState:
		r.opts.Trace.Emit(trace.Event{Kind: trace.Connection, Peer: c.Remote, Via: c.Door, From: c.Stub, Value: c.State.String()})
		if s, ok := r.stubs.get(c.Stub); ok && s.Role == sdk.RoleRequester {
			s.to(c.State, w.Text)
		}
	case connections.RefreshWay:
		r.refreshWay(w.Remote)
	case connections.AddRequester:
		r.stubs.add(Stub{URL: c.Stub, Role: sdk.RoleRequester, Plugin: c.Plugin, Remote: c.Remote}, message.Created)
	case connections.Deploy:
		r.deployRequester(*c)
	case connections.Keep:
		r.askToKeep(*c)
	case connections.Reconnect:
		r.loop.Go(func(ctx context.Context) { r.reconnect(ctx, *c) })
	case connections.OpenDoor:
		r.openDoor(*c, w.Door)
	case connections.CloseDoor:
		r.closeDoor(w.Door)
	case connections.Disconnect:
		r.stubs.tell(c.Stub, "disconnect", c.Remote)
	case connections.EndRequester:
		r.stubs.drop(c.Stub, true)
	case connections.AskRenewal:
		r.askToRenew(c.Remote)
	case connections.Began:
		if rt, ok := r.directory.Runtime(c.Remote); ok {
			r.follow(rt)
		}
	case connections.Ended:
		r.endFollower(c.Remote)
	case connections.ReadHandlers:
		r.readHandlers(w.Remote, w.To)
	default:
		r.logEvent(w)
	}
}

// logEvent logs an event of the connections.
func (r *Registry) logEvent(w *connections.Want) {
	c := &w.Connection
	switch w.Kind {
	case connections.SayFailed:
		r.opts.Peers.Log(r.opts.Log, hclog.Info, "P2P set-up failed", c.Remote, "plugin", c.Plugin, "role", c.Role, "reason", w.Text)
	case connections.SayNotRenewed:
		r.opts.Peers.Log(r.opts.Log, hclog.Info, "P2P connection not renewed", c.Remote, "plugin", c.Plugin, "role", c.Role, "reason", w.Text)
	case connections.SayIllegal:
		r.opts.Log.Warn("illegal status refused", "stub", c.Stub, "error", w.Err)
	}
}

func (r *Registry) deployRequester(c connections.Connection) {
	d := Deployment{URL: c.Stub, Role: sdk.RoleRequester, Plugin: c.Plugin, Domain: c.Remote.NodeDomain(), Remote: c.Remote, Handler: c.Handler}
	r.stubs.deploy(d, r.opts.P2P.SetupTimeout, func(err error) {
		if err != nil {
			r.peers.NotDeployed(time.Now(), c.Remote, c.Number, err)
			r.fulfilAll()
		}
	})
}

// readHandlers reads the Domain Registry's entry of an address that is known from /registry/changes only, in the background:
// the entry names the runtime's Handlers.
func (r *Registry) readHandlers(remote, to message.URL) {
	r.loop.Go(func(ctx context.Context) {
		if rt, err := r.lookUp(ctx, directory.Key(to), true); err == nil && rt.URL() == remote {
			r.loop.Do(func() {
				r.peers.HandlersRead(time.Now(), remote)
				r.fulfilAll()
			})
		}
	})
}

// reconnect asks a Requester to connect again, and repeats that while it gets no answer: the stub's process may just be
// starting again.
func (r *Registry) reconnect(ctx context.Context, c connections.Connection) {
	for again := true; again; {
		err := r.call.execute(ctx, c.Stub, tellTimeout, "connect", c.Handler)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.opts.Log.Debug("Requester does not connect again yet", "stub", c.Stub, "error", err)
		if err := r.ask(ctx, func() { again = r.peers.Waits(c.Remote, c.Number) }); err != nil {
			return
		}
		again = again && backoff.Sleep(ctx, tellPause)
	}
}

// askToKeep tells the other side's Registry that the next invitation renews the connection.
func (r *Registry) askToKeep(c connections.Connection) {
	r.loop.Go(func(ctx context.Context) {
		// If the other side refuses, the invitation is like any other, and the connection breaks before the new one is live.
		if err := r.call.execute(ctx, c.Remote.Join("registry"), r.call.timeout, methodKeep); err != nil && ctx.Err() == nil {
			r.opts.Log.Info("the other side does not keep the connection while it is renewed", "runtime", c.Remote, "error", err)
		}
		r.loop.Do(func() {
			r.peers.Kept(time.Now(), c.Remote, c.Number)
			r.fulfilAll()
		})
	})
}

func (r *Registry) askToRenew(remote message.URL) {
	r.loop.Go(func(ctx context.Context) {
		if err := r.call.execute(ctx, remote.Join("registry"), r.call.timeout, methodRenew); err != nil && ctx.Err() == nil {
			r.opts.Log.Warn("the other side does not renew the connection; it will break and be set up again", "runtime", remote, "error", err)
		}
	})
}

// openDoor adds a listener for a door to the MessageBus and subscribes it at the Handler (specification, "P2P connection
// registration for the Handler", steps 3 to 6).
func (r *Registry) openDoor(c connections.Connection, door message.URL) {
	r.opts.Trace.Emit(trace.Event{Kind: trace.Door, From: c.Stub, Via: door, Peer: c.Remote})
	r.doors[door] = r.call.Listen(door, func(ctx context.Context, m message.Message) { r.atDoor(ctx, c.Stub, m) })
	r.opts.Trace.Emit(trace.Event{Kind: trace.Listener, To: door, Via: c.Stub, Peer: c.Remote})
	subscribe := message.Message{Type: message.Subscribe, From: r.url, To: c.Stub, Source: c.Stub,
		Body: message.Encode(map[string]any{"subscribe": []message.URL{door}, "peer": c.Remote})}
	r.loop.Go(func(ctx context.Context) {
		_, err := r.call.requestWithin(ctx, r.opts.P2P.SetupTimeout, subscribe)
		r.loop.Do(func() {
			r.peers.Opened(time.Now(), c.Remote, c.Number, err)
			r.fulfilAll()
		})
	})
}

// closeDoor ends a door's listener on the MessageBus. It runs in the loop.
func (r *Registry) closeDoor(door message.URL) {
	if stop := r.doors[door]; stop != nil {
		delete(r.doors, door)
		r.loop.Go(func(context.Context) { stop() })
	}
}

// atDoor passes a message that is addressed to a door itself to the Handler's sandbox.
func (r *Registry) atDoor(ctx context.Context, handler message.URL, m message.Message) {
	if r.opts.Sandbox == nil {
		if m.Type != message.Response {
			r.call.Reply(m.Refuse(message.CodeNotFound, "%s takes no messages of its own", m.To))
		}
		return
	}
	if err := r.opts.Sandbox(ctx, handler, m); err != nil && ctx.Err() == nil {
		r.opts.Log.Warn("message to a door not delivered", "door", m.To, "error", err)
	}
}

// wake has the loop consider a P2P set-up with a remote runtime; to is an address there. It does not wait.
func (r *Registry) wake(rt *directory.Runtime, to message.URL) {
	if !rt.Ask() {
		return
	}
	if !r.loop.TryDo(func() {
		rt.Asked()
		if now, ok := r.directory.Runtime(rt.URL()); ok && now == rt {
			r.peers.Consider(time.Now(), rt.URL(), to)
			r.fulfilAll()
		}
	}) {
		rt.Asked()
	}
}

// Renew has every P2P connection of a plug-in set up again, because the plug-in's process is to end. A live connection
// carries messages until its successor is live. Renew does not wait.
func (r *Registry) Renew(plugin string) {
	r.loop.Do(func() {
		r.peers.Renew(time.Now(), plugin)
		r.fulfilAll()
	})
}

// Suspect reports that the direct way to a remote runtime does not carry messages although its stub says that it is live
// (pings may pass where data is stuck). The connection is given up, and set up again as after any other end.
func (r *Registry) Suspect(remote, door message.URL) {
	r.loop.Do(func() {
		r.peers.Suspect(time.Now(), remote.Runtime(), door)
		r.fulfilAll()
	})
}
