package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/internal/profile"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self  message.URL = "hyperty-runtime://a.example/r"
	alice message.URL = "hyperty://a.example/alice"
	ann   message.URL = "hyperty://b.example/ann"
	plain message.URL = "hyperty-runtime://b.example/reference"
	node  message.URL = "hyperty-runtime://a.example/r/protostub/a.example"
	door  message.URL = "hyperty-runtime://a.example/r/p2prequester/1"
)

// runtime stands for the components that an Admin asks.
type runtime struct {
	registry.Status
	route   bus.Route
	refused error // of runtimes without sessions
	again   []session.Path
	renewed []string
	done    stubhost.Reloaded
	broken  bool // the last reload broke the connections
}

func (r *runtime) Listened(to message.URL) bool                            { return to == alice }
func (r *runtime) Snapshot() registry.Status                               { return r.Status }
func (r *runtime) Explain(context.Context, message.URL) (bus.Route, error) { return r.route, nil }
func (r *runtime) Renew(plugin string)                                     { r.renewed = append(r.renewed, plugin) }
func (r *runtime) Has(stub message.URL, role sdk.Role) bool {
	return stub == node && role == sdk.RoleNode
}
func (r *runtime) Plugin(entry catalogue.Descriptor) stubhost.Plugin {
	return stubhost.Plugin{Name: entry.Name}
}
func (r *runtime) Plugins() []stubhost.PluginState {
	return []stubhost.PluginState{{Name: "alpha", State: "running"}}
}

func (r *runtime) Find(name string) (catalogue.Descriptor, error) {
	switch name {
	case "alpha":
		return catalogue.Descriptor{Descriptor: sdk.Descriptor{Name: name, Kind: sdk.KindP2P, Version: "2"}}, nil
	case "msgnode-ws", "other-node":
		return catalogue.Descriptor{Descriptor: sdk.Descriptor{Name: name, Kind: sdk.KindNode, Version: "2"}}, nil
	}
	return catalogue.Descriptor{}, &catalogue.NotFoundError{Name: name}
}

func (r *runtime) Reload(_ context.Context, p stubhost.Plugin, o stubhost.ReloadOptions) (stubhost.Reloaded, error) {
	r.broken = o.Break
	if r.done.Running {
		o.Moved([]message.URL{node, door})
	}
	return r.done, nil
}

func (r *runtime) Profile(_ context.Context, plugin string, kind profile.Kind, _ int) ([]byte, error) {
	return []byte(plugin + " " + string(kind)), nil
}

// sessions are those of the runtime.
type sessions struct{ *runtime }

func (s sessions) Snapshot() []session.State {
	return []session.State{{Remote: "hyperty-runtime://b.example/k", Path: session.Path{Door: door, Direct: true}, Relayed: 2, Direct: 3,
		HeldUp: []session.Held{{To: ann, Messages: 1, Bytes: 2, Posters: 3}}, Held: []session.Held{{To: alice, Messages: 4}}}}
}
func (s sessions) Again(p session.Path) { s.again = append(s.again, p) }

// sessionless are the runtimes without sessions.
type sessionless struct{ *runtime }

func (s sessionless) Snapshot() []plainpeers.Peer { return []plainpeers.Peer{{Remote: plain, Sent: 5}} }
func (s sessionless) Allows(message.URL) error    { return s.refused }

func newAdmin(r *runtime) *Admin {
	return &Admin{About: About{Runtime: self, Domain: "a.example", Version: "1", NodeStub: "msgnode-ws"},
		Bus: r, Registry: r, Sessions: sessions{r}, Plain: sessionless{r}, Catalogue: r, Stubs: r, Host: r}
}

// A status has what each component knows; the private objects are left out, and a stub without a plug-in is the node's.
func TestStatus(t *testing.T) {
	s := newAdmin(&runtime{Status: registry.Status{
		Hyperties:   []registry.HypertyStatus{{URL: alice}},
		Objects:     []registry.ObjectStatus{{URL: "comm://a.example/open"}, {URL: "connection://a.example/hidden", Private: true}},
		Stubs:       []registry.StubStatus{{URL: node, Role: sdk.RoleNode}, {URL: door, Role: sdk.RoleRequester, Plugin: "alpha"}},
		Connections: []registry.ConnectionStatus{{Remote: "hyperty-runtime://b.example/k", Plugin: "alpha", Desc: "why"}},
	}}).Status()
	if s.Runtime != self || s.Domain != "a.example" || s.Version != "1" || len(s.Hyperties) != 1 || s.Hyperties[0].URL != alice {
		t.Errorf("about and hyperties: %+v", s)
	}
	if len(s.Objects) != 1 || s.Objects[0].URL != "comm://a.example/open" {
		t.Errorf("objects: %+v", s.Objects)
	}
	if len(s.Stubs) != 2 || s.Stubs[0].Plugin != "msgnode-ws" || s.Stubs[1].Plugin != "alpha" {
		t.Errorf("stubs: %+v", s.Stubs)
	}
	if len(s.Connections) != 1 || s.Connections[0].Why != "why" {
		t.Errorf("connections: %+v", s.Connections)
	}
	if len(s.Sessions) != 1 || s.Sessions[0].Sent != 5 || !s.Sessions[0].Direct ||
		!slices.Equal(s.Sessions[0].HeldUp, []api.HeldUp{{Address: ann, Messages: 1, Bytes: 2, Posters: 3}}) ||
		!slices.Equal(s.Sessions[0].Waiting, []api.HeldUp{{Address: alice, Messages: 4}}) {
		t.Errorf("sessions: %+v", s.Sessions)
	}
	if len(s.WithoutSessions) != 1 || s.WithoutSessions[0].Session != api.NoSession || s.WithoutSessions[0].Sent != 5 {
		t.Errorf("without sessions: %+v", s.WithoutSessions)
	}
	if len(s.Plugins) != 1 || s.Plugins[0].State != "running" {
		t.Errorf("plug-ins: %+v", s.Plugins)
	}
}

func TestPath(t *testing.T) {
	r := &runtime{}
	a := newAdmin(r)
	for _, c := range []struct {
		what    string
		to      message.URL
		route   bus.Route
		way     api.Way
		session string
	}{
		{"to a listener here", alice, bus.Route{}, api.WayLocal, ""},
		{"to a node's function", "domain://registry.b.example", bus.Route{Stub: node}, api.WayRelay, ""},
		{"to a runtime that is connected", ann, bus.Route{Remote: "hyperty-runtime://b.example/" + key, Door: door, Direct: true}, api.WayDirect, ""},
		{"to a runtime without a session", ann, bus.Route{Remote: plain, Stub: node}, api.WayRelay, api.NoSession},
	} {
		r.route = c.route
		if p, err := a.Path(t.Context(), c.to); err != nil || p.To != c.to || p.Way != c.way || p.Session != c.session || p.Door != c.route.Door {
			t.Errorf("%s: %+v, %v", c.what, p, err)
		}
	}
	r.refused = errors.New("not allowed")
	if p, err := a.Path(t.Context(), ann); !errors.Is(err, r.refused) {
		t.Errorf("to a runtime without a session, which is not allowed: %+v, %v", p, err)
	}
}

// key is the form of an id that is derived from a key.
const key = "abcdefghijklmnopqrstuvwxyz234567"

func TestReload(t *testing.T) {
	began := time.Now()
	r := &runtime{done: stubhost.Reloaded{Running: true, OldPID: 1, NewPID: 2, OldVersion: "1", NewVersion: "3",
		Started: began, HandedOff: began.Add(time.Second), Ended: began.Add(3 * time.Second)}}
	a := newAdmin(r)
	got, err := a.Reload(t.Context(), "alpha", true)
	if want := (api.Reloaded{Plugin: "alpha", Running: true, OldPID: 1, NewPID: 2, OldVersion: "1", NewVersion: "3", HandOver: 1, Drain: 2}); err != nil || got != want {
		t.Errorf("%+v, want %+v: %v", got, want, err)
	}
	if !r.broken || !slices.Equal(r.renewed, []string{"alpha"}) {
		t.Errorf("with a break: %v; renewed: %q", r.broken, r.renewed)
	}
	if !slices.Equal(r.again, []session.Path{{Door: node, Stub: node}}) { // a P2P connection gets a new door instead
		t.Errorf("sent again: %+v", r.again)
	}
	r.done = stubhost.Reloaded{}
	if got, err := a.Reload(t.Context(), "alpha", false); err != nil || got != (api.Reloaded{Plugin: "alpha", NewVersion: "2"}) {
		t.Errorf("one that does not run: %+v, %v", got, err)
	}
	if _, err := a.Reload(t.Context(), "msgnode-ws", false); err != nil {
		t.Errorf("the stub of Message Nodes: %v", err)
	}
	if _, err := a.Reload(t.Context(), "other-node", false); err == nil || !strings.Contains(err.Error(), "msgnode-ws") {
		t.Errorf("another stub of Message Nodes: %v", err)
	}
	if _, err := a.Reload(t.Context(), "beta", false); !errors.As(err, new(*catalogue.NotFoundError)) {
		t.Errorf("one that is not installed: %v", err)
	}
}

func TestProfile(t *testing.T) {
	a := newAdmin(&runtime{})
	if data, err := a.Profile(t.Context(), "alpha", "heap", 0); err != nil || string(data) != "alpha heap" {
		t.Errorf("of a plug-in: %q, %v", data, err)
	}
	if data, err := a.Profile(t.Context(), "", "heap", 0); err != nil || len(data) == 0 {
		t.Errorf("of the runtime: %d bytes, %v", len(data), err)
	}
	if _, err := a.Profile(t.Context(), "beta", "heap", 0); !errors.As(err, new(*catalogue.NotFoundError)) {
		t.Errorf("of a plug-in that is not installed: %v", err)
	}
	if _, err := a.Profile(t.Context(), "", "none", 0); err == nil {
		t.Error("of a kind that there is not")
	}
}
