package core

import (
	"context"
	"errors"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

var (
	_ api.Backend     = (*Runtime)(nil)
	_ hyperty.Runtime = (*Runtime)(nil)
)

// Register makes a hyperty of an application in this process; see hyperty.Runtime.
func (rt *Runtime) Register(ctx context.Context, r hyperty.Registration) (*hyperty.Hyperty, error) {
	return rt.apps.Register(ctx, r)
}

// Attach registers a hyperty of the application API; see api.Backend.
func (rt *Runtime) Attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (hyperty.Attachment, error) {
	return rt.apps.Attach(ctx, r, deliver)
}

// Path says which way a message would go now; see api.Backend.
func (rt *Runtime) Path(ctx context.Context, to message.URL) (api.Path, error) {
	if rt.bus.Listened(to) {
		return api.Path{To: to, Way: api.WayLocal, Remote: rt.URL(), Why: "somebody in this runtime listens to it"}, nil
	}
	r, err := rt.registry.Explain(ctx, to)
	if err != nil {
		return api.Path{}, err
	}
	p := api.Path{To: to, Way: api.WayRelay, Remote: r.Remote, Stub: r.Stub, Door: r.Door, Why: r.Why}
	if r.Direct {
		p.Way = api.WayDirect
	}
	if r.Remote != "" && plainpeers.Sessionless(r.Remote) {
		if err := rt.plain.Allows(r.Remote); err != nil {
			return api.Path{}, err
		}
		p.Session = api.NoSession
		p.Why += "; without a session (trust.without_sessions): not once, not in order, not unread"
	}
	return p, nil
}

// Watch has f told of everything that the core does; see api.Backend.
func (rt *Runtime) Watch(f trace.Func, bodies bool) (stop func()) { return rt.trace.Watch(f, bodies) }

func heldUp(list []session.Held) (out []api.HeldUp) {
	for _, h := range list {
		out = append(out, api.HeldUp{Address: h.To, Messages: h.Messages, Bytes: h.Bytes, Posters: h.Posters})
	}
	return out
}

// Status says what runs here; see api.Backend.
func (rt *Runtime) Status(context.Context) (api.Status, error) {
	if rt.background.ended() {
		return api.Status{}, errors.New("the runtime is ending")
	}
	s := api.Status{Runtime: rt.URL(), Domain: rt.config.Domain, Version: rt.config.Version, Started: rt.started}
	known := rt.registry.Snapshot()
	for _, h := range known.Hyperties {
		s.Hyperties = append(s.Hyperties, api.Hyperty{URL: h.URL, User: h.User, Since: h.Since})
	}
	for _, o := range known.Objects {
		if !o.Private {
			s.Objects = append(s.Objects, api.Object{URL: o.URL, Name: o.Name, Reporter: o.Reporter, Since: o.Since})
		}
	}
	for _, st := range known.Stubs {
		plugin := st.Plugin
		if plugin == "" {
			plugin = rt.config.NodeStub
		}
		s.Stubs = append(s.Stubs, api.Stub{URL: st.URL, Plugin: plugin, Role: string(st.Role), Domain: st.Domain,
			Remote: st.Remote, State: st.State, Since: st.Since, Why: st.Desc})
	}
	for _, c := range known.Connections {
		s.Connections = append(s.Connections, api.Connection{Remote: c.Remote, Plugin: c.Plugin, Stub: c.Stub, Door: c.Door,
			State: c.State, Since: c.Since, Addresses: c.Addresses, Attempts: c.Attempts, Why: c.Desc})
	}
	for _, st := range rt.sessions.Snapshot() {
		s.Sessions = append(s.Sessions, api.Session{Remote: st.Remote, Door: st.Path.Door, Direct: st.Path.Direct,
			Sent: st.Relayed + st.Direct, Received: st.Received, Unacknowledged: st.Unacked, Outstanding: st.Outstanding,
			HeldUp: heldUp(st.HeldUp), Waiting: heldUp(st.Held), Resets: st.Resets})
	}
	for _, p := range rt.plain.Snapshot() {
		s.WithoutSessions = append(s.WithoutSessions, api.WithoutSession{Remote: p.Remote, Session: api.NoSession, Sent: p.Sent, Received: p.Received, Since: p.Since})
	}
	for _, p := range rt.host.Plugins() {
		s.Plugins = append(s.Plugins, api.Plugin{Name: p.Name, Version: p.Version, PID: p.PID, State: string(p.State),
			Restarts: p.Restarts, Since: p.Since, Instances: len(p.Instances), LastError: p.LastError, Sandbox: p.Sandbox, User: p.User})
	}
	return s, nil
}
