package deployer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self    message.URL = "hyperty-runtime://a.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	bobs    message.URL = "hyperty-runtime://b.example/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	node    message.URL = self + "/protostub/b.example"
	request message.URL = self + "/p2prequester/1"
	handler message.URL = self + "/p2phandler/x"
	bob     message.URL = "hyperty://b.example/bob"
)

// around is everything that a Deployer needs, and notes what it does.
type around struct {
	did       []string
	listeners map[message.URL]message.Handler
	instances map[message.URL]stubhost.Instance
	err       error // of the host and the MiniBuses
}

func (a *around) note(args ...any) { a.did = append(a.did, strings.TrimSpace(fmt.Sprintln(args...))) }

// done returns what was done since the last call.
func (a *around) done() string {
	defer func() { a.did = nil }()
	return strings.Join(a.did, ", ")
}

func (a *around) Find(name string) (catalogue.Descriptor, error) {
	if name == "missing" {
		return catalogue.Descriptor{}, errors.New("not installed")
	}
	return catalogue.Descriptor{Descriptor: sdk.Descriptor{Name: name}}, nil
}

func (a *around) Deploy(_ context.Context, p stubhost.Plugin, in stubhost.Instance) error {
	a.note("deploy", p.Name, in.URL)
	a.instances[in.URL] = in
	return a.err
}
func (a *around) Undeploy(_ context.Context, stub message.URL) error {
	a.note("undeploy", stub)
	return a.err
}

func (a *around) Post(_ context.Context, stub message.URL, m message.Message) error {
	a.note("to", stub, m.Type)
	return a.err
}
func (a *around) TryPost(stub message.URL, m message.Message) bool {
	a.note("refuse", stub, m.To)
	return true
}

func (a *around) Listen(at message.URL, h message.Handler) (stop func()) {
	a.listeners[at] = h
	return func() { delete(a.listeners, at) }
}
func (a *around) Reply(m message.Message) { a.note("reply", m.To) }
func (a *around) From(_ context.Context, owner message.URL, m message.Message) error {
	if !m.From.Within(owner) {
		return fmt.Errorf("%w: %s", bus.ErrForged, m.From)
	}
	a.note("from", m.From)
	return nil
}
func (a *around) ArriveFromNode(_ context.Context, stub message.URL, m message.Message) {
	a.note("from node", m.From)
}

func (a *around) AddNode(stub message.URL, domain string)  { a.note("node", domain) }
func (a *around) AddDirect(stub, door, remote message.URL) { a.note("door", door, remote) }
func (a *around) Drop(stub message.URL)                    { a.note("drop", stub) }

func newDeployer() (*Deployer, *around) {
	a := &around{listeners: map[message.URL]message.Handler{}, instances: map[message.URL]stubhost.Instance{}}
	return New(Options{
		Self: self,
		Config: Config{Domain: "a.example", NodeStub: "relay", Nodes: map[string]string{"b.example": "ws://b.example"},
			StubConfig: map[string]json.RawMessage{"relay": []byte(`{"patience":1}`)}},
		Catalogue: a, Host: a, MiniBuses: a, Bus: a, Doors: a,
		Plain:    func(n plainpeers.Node, m message.Message) { a.note("plain", n.Domain, m.From) },
		NodeLive: func(domain string) { a.note("live", domain) },
		Gone:     func(stub message.URL) { a.note("gone", stub) },
	}), a
}

// A stub has its listeners and its door before its instance starts, and nothing is left of it after its end.
func TestDeploy(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		d       registry.Deployment
		did     string
		at      int // listeners
		refused bool
	}{
		{registry.Deployment{URL: node, Role: sdk.RoleNode, Domain: "b.example"}, "node b.example, deploy relay " + string(node), 3, false},
		{registry.Deployment{URL: request, Role: sdk.RoleRequester, Plugin: "x", Remote: bobs}, "door " + string(request+" "+bobs) + ", deploy x " + string(request), 1, false},
		{registry.Deployment{URL: handler, Role: sdk.RoleHandler, Plugin: "x"}, "deploy x " + string(handler), 1, false},
		{registry.Deployment{URL: handler, Role: sdk.RoleHandler, Plugin: "missing"}, "", 0, true},
		{registry.Deployment{URL: request, Role: sdk.RoleRequester, Plugin: "x", Remote: "hyperty-runtime://b.example/old"}, "", 0, true},
	} {
		s, a := newDeployer()
		err := s.Deploy(ctx, c.d)
		if did := a.done(); did != c.did || (err != nil) != c.refused || len(a.listeners) != c.at || s.Has(c.d.URL, c.d.Role) == c.refused {
			t.Errorf("%s: %q, %v, %d listeners", c.d.URL, did, err, len(a.listeners))
		}
		if c.refused {
			continue
		}
		if signs, ok := s.Signs(c.d.URL); !ok || signs.Role != c.d.Role || signs.Domain != c.d.Domain || signs.Remote != c.d.Remote {
			t.Errorf("%s signs as %+v, %v", c.d.URL, signs, ok)
		}
		if err := s.Undeploy(ctx, c.d.URL); err != nil || s.Has(c.d.URL, c.d.Role) || len(a.listeners) > 0 {
			t.Errorf("%s is left: %v", c.d.URL, err)
		}
		if did, want := a.done(), fmt.Sprintf("undeploy %[1]s, drop %[1]s, gone %[1]s", c.d.URL); did != want {
			t.Errorf("at its end: %q, want %q", did, want)
		}
		a.err = errors.New("no process")
		if err := s.Deploy(ctx, c.d); !errors.Is(err, a.err) || s.Has(c.d.URL, c.d.Role) || len(a.listeners) > 0 {
			t.Errorf("%s is left though it does not run: %v", c.d.URL, err)
		}
	}
	s, a := newDeployer()
	list := []registry.Deployment{{URL: handler, Role: sdk.RoleHandler, Plugin: "missing"}}
	if err := s.DeployAll(ctx, list); err == nil || a.done() != "" {
		t.Errorf("side by side: %v", err)
	}
}

// A Message Node's stub gets the operator's configuration, with the node's address.
func TestNodeConfig(t *testing.T) {
	s, a := newDeployer()
	if err := s.Deploy(t.Context(), registry.Deployment{URL: node, Role: sdk.RoleNode, Domain: "b.example"}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(a.instances[node].Config, &got); err != nil || len(got) != 2 || got["url"] != "ws://b.example" || got["patience"] != 1.0 {
		t.Errorf("%s %v", a.instances[node].Config, err)
	}
	s.o.Config.StubConfig["relay"] = []byte("[]")
	if err := s.Deploy(t.Context(), registry.Deployment{URL: node, Role: sdk.RoleNode, Domain: "b.example"}); err == nil {
		t.Error("a configuration that is no object is taken")
	}
}

// A message from a stub counts as the stub's own; from a Message Node's stub it may also be its node's, or one without a
// session. A stub that uses another's address as `from` is refused.
func TestReceive(t *testing.T) {
	s, a := newDeployer()
	for _, d := range []registry.Deployment{{URL: node, Role: sdk.RoleNode, Domain: "b.example"}, {URL: handler, Role: sdk.RoleHandler, Plugin: "x"}} {
		s.Add(d)
	}
	a.done()
	const function message.URL = "domain://registry.b.example"
	for _, c := range []struct {
		what           string
		stub, from, to message.URL
		typ            message.Type
		did            string
		forged         bool
	}{
		{"its own", handler, handler + "/1", bob, message.Update, "from " + string(handler) + "/1", false},
		{"a node's stub's own", node, node + "/x", bob, message.Update, "from " + string(node) + "/x", false},
		{"the node's", node, function, bob, message.Update, "from node " + string(function), false},
		{"another node's", node, "domain://registry.c.example", bob, message.Update, "", false},
		{"without a session", node, bob, bob, message.Update, "plain b.example " + string(bob), false},
		{"another's", handler, bob, bob, message.Read, "refuse " + string(handler+" "+bob), true},
		{"another's answer", handler, bob, bob, message.Response, "", true},
		{"another's status", handler, bob, handler + "/status", message.Update, "", true},
		{"a node's, by a P2P stub", handler, function, bob, message.Update, "refuse " + string(handler+" "+function), true},
		{"of a stub that has gone", request, request, bob, message.Update, "", false},
	} {
		err := s.Receive(t.Context(), c.stub, message.Message{ID: message.NumberID(1), Type: c.typ, From: c.from, To: c.to})
		if did := a.done(); did != c.did || errors.Is(err, bus.ErrForged) != c.forged {
			t.Errorf("%s: %q %v, want %q", c.what, did, err, c.did)
		}
	}
}

// A message to a stub's address goes to its MiniBus; a request to a stub that does not run is answered with a refusal.
func TestPost(t *testing.T) {
	s, a := newDeployer()
	s.Add(registry.Deployment{URL: handler, Role: sdk.RoleHandler, Plugin: "x"})
	to := a.listeners[handler]
	m := message.Message{ID: message.NumberID(1), Type: message.Read, From: bob, To: handler}
	to(t.Context(), m)
	m.Type, m.Body = message.Subscribe, message.Encode(map[string]any{"subscribe": []string{string(handler) + "/d"}, "peer": bobs})
	to(t.Context(), m) // it does not come from the Registry
	m.From = self + "/registry"
	to(t.Context(), m)
	a.err = errors.New("no process")
	to(t.Context(), m)
	m.Type = message.Response
	to(t.Context(), m)
	want := []string{"to " + string(handler) + " read", "to " + string(handler) + " subscribe", "door " + string(handler+"/d "+bobs), "to " + string(handler) + " subscribe",
		"door " + string(handler+"/d "+bobs), "to " + string(handler) + " subscribe", "reply " + string(self) + "/registry", "to " + string(handler) + " response"}
	if !slices.Equal(a.did, want) {
		t.Errorf("%q\nwant %q", a.did, want)
	}
}

// Only the Message Node's stub itself can report its status.
func TestStatus(t *testing.T) {
	s, a := newDeployer()
	s.Add(registry.Deployment{URL: node, Role: sdk.RoleNode, Domain: "b.example"})
	a.done()
	status := func(from message.URL, value message.Status) message.Message {
		return message.Message{Type: message.Update, From: from, To: node + "/status", Body: message.Encode(map[string]any{"value": value.String()})}
	}
	at := a.listeners[node+"/status"]
	at(t.Context(), status(bob, message.Live))
	at(t.Context(), status(node, message.Disconnected))
	if did := a.done(); did != "" {
		t.Errorf("told: %s", did)
	}
	at(t.Context(), status(node, message.Live))
	if did := a.done(); did != "live b.example" {
		t.Errorf("told: %q", did)
	}
	a.listeners[node+"/unreachable"](t.Context(), message.Message{Type: message.Update, From: node, Body: []byte(`{"value":"x"}`)})
}
