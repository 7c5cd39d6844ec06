package admin

import (
	"cmp"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/session"
)

// Status says what runs; see [api.Status].
func (a *Admin) Status() api.Status {
	s := api.Status{Runtime: a.About.Runtime, Domain: a.About.Domain, Version: a.About.Version, Started: a.About.Started}
	a.known(&s)
	for _, st := range a.Sessions.Snapshot() {
		s.Sessions = append(s.Sessions, api.Session{Remote: st.Remote, Door: st.Path.Door, Direct: st.Path.Direct,
			Sent: st.Relayed + st.Direct, Received: st.Received, Unacknowledged: st.Unacked, Outstanding: st.Outstanding,
			HeldUp: heldUp(st.HeldUp), Waiting: heldUp(st.Held), Resets: st.Resets})
	}
	for _, p := range a.Plain.Snapshot() {
		s.WithoutSessions = append(s.WithoutSessions, api.WithoutSession{Remote: p.Remote, Session: api.NoSession,
			Sent: p.Sent, Received: p.Received, Since: p.Since})
	}
	for _, p := range a.Host.Plugins() {
		s.Plugins = append(s.Plugins, api.Plugin{Name: p.Name, Version: p.Version, PID: p.PID, State: string(p.State),
			Restarts: p.Restarts, Since: p.Since, Instances: len(p.Instances), LastError: p.LastError, Sandbox: p.Sandbox, User: p.User})
	}
	return s
}

// known adds what the Registry knows. Private data objects are left out: they concern only this runtime and its stubs.
func (a *Admin) known(s *api.Status) {
	known := a.Registry.Snapshot()
	for _, h := range known.Hyperties {
		s.Hyperties = append(s.Hyperties, api.Hyperty{URL: h.URL, User: h.User, Since: h.Since})
	}
	for _, o := range known.Objects {
		if !o.Private {
			s.Objects = append(s.Objects, api.Object{URL: o.URL, Name: o.Name, Reporter: o.Reporter, Since: o.Since})
		}
	}
	for _, st := range known.Stubs {
		s.Stubs = append(s.Stubs, api.Stub{URL: st.URL, Plugin: cmp.Or(st.Plugin, a.About.NodeStub), Role: string(st.Role),
			Domain: st.Domain, Remote: st.Remote, State: st.State, Since: st.Since, Why: st.Desc})
	}
	for _, c := range known.Connections {
		s.Connections = append(s.Connections, api.Connection{Remote: c.Remote, Plugin: c.Plugin, Stub: c.Stub, Door: c.Door,
			State: c.State, Since: c.Since, Addresses: c.Addresses, Attempts: c.Attempts, Why: c.Desc})
	}
}

func heldUp(list []session.Held) (out []api.HeldUp) {
	for _, h := range list {
		out = append(out, api.HeldUp{Address: h.To, Messages: h.Messages, Bytes: h.Bytes, Posters: h.Posters})
	}
	return out
}
