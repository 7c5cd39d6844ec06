package core

import (
	"context"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/doors"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// sessionEvent is told what happens to sessions, and tells those whom it concerns.
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

// pathChanged is told by the Registry that the best way to a runtime is another one now.
func (rt *Runtime) pathChanged(remote message.URL, r bus.Route) {
	rt.sessions.UsePath(remote, doors.Path(r))
}

// route is the best way to a runtime, for a session's own frames.
func (rt *Runtime) route(remote message.URL) (session.Path, bool) {
	r, err := rt.registry.RouteTo(remote)
	return doors.Path(r), err == nil
}

// came is the Message Node's stub by which a remote runtime has come.
func (rt *Runtime) came(remote message.URL) (message.URL, bool) {
	p, ok := rt.sessions.Came(remote)
	return p.Stub, ok && !p.Direct && rt.stubs.Has(p.Stub, sdk.RoleNode)
}

// gone is told that a hyperty, or a stub, of this runtime has gone.
func (rt *Runtime) gone(component message.URL) { rt.sync.ComponentGone(component) }

// joinNode has the own Message Node's stub deployed before anybody needs it, so that others reach this runtime.
func (rt *Runtime) joinNode(ctx context.Context) {
	if _, err := rt.registry.Explain(ctx, message.DomainRegistryAddress(rt.config.Domain)); err != nil && ctx.Err() == nil {
		rt.log.Warn("the own Message Node cannot be reached; it is tried again when it is needed", "domain", rt.config.Domain, "error", err)
	}
}
