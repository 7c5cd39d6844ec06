package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// legacyNode is a node that allows runtimes of the reference implementation.
func legacyNode(t *testing.T, domain string) *nodeProcess {
	t.Helper()
	return startNode(t, domain, "PROTOFLY_NODE_LEGACY=true")
}

// without makes the option that allows runtimes without sessions.
func without(w identity.WithoutSessions) func(*core.Config) {
	return func(c *core.Config) { c.Trust.WithoutSessions = w }
}

// quote is a body with a value.
func quote(n int) string { return fmt.Sprintf(`{"value":"n%d"}`, n) }

// Where the operator allows it, a runtime of the reference implementation and hyperties of this one exchange messages both
// ways, and status and path show that.
func TestWithoutSessionAllowed(t *testing.T) {
	t.Parallel()
	node := legacyNode(t, "example.com")
	for name, allow := range map[string]identity.WithoutSessions{
		"peer":   {Peers: []message.URL{"runtime://example.com/r-ann"}},
		"domain": {Domains: []string{"example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: built.transportIDs, change: without(allow)})
			ann := startReference(t, node, "r-ann")
			bob := a.register("bob-" + name)
			bob.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, "to "+string(m.From)) })
			const hann message.URL = "hyperty://example.com/ann"
			ann.register(hann)

			// From there to here: from a registered hyperty, and from a component of the runtime.
			for _, from := range []message.URL{hann, ann.url.Join("sm")} {
				for n := range 5 {
					if code, value := ann.ask(from, message.Read, bob.URL(), quote(n)); code != 200 || value != `"to `+string(from)+`"` {
						t.Fatalf("%s asks: %d %s", from, code, value)
					}
				}
			}
			if code, why := ann.ask(hann, message.Read, bob.URL()+"-not", quote(0)); code != 404 {
				t.Errorf("who is not there: %d %s", code, why)
			}
			// From here to there, and the answer; and to a hyperty that is not registered.
			answered := make(chan error, 1)
			go func() {
				r, err := bob.Request(t.Context(), hann, message.Read, map[string]string{"resource": "x"})
				if err == nil && string(r.Value) != `"from ann"` {
					err = fmt.Errorf("answer %s", r.Value)
				}
				answered <- err
			}()
			m := ann.await("bob's question", func(m message.Message) bool { return m.Type == message.Read && m.To == hann })
			if m.From != bob.URL() || !strings.Contains(string(m.Body), `"resource":"x"`) {
				t.Errorf("ann got %+v %s", m, m.Body)
			}
			ann.post(m.Respond(200, "from ann"))
			if err := <-answered; err != nil {
				t.Error(err)
			}
			// To a runtime that is not connected, which only the policy for the domain allows.
			want := map[string]int{"peer": 403, "domain": 404}[name]
			if code, why := ask(t, bob, message.Read, "runtime://example.com/r-gone/sm", `{}`); code != want {
				t.Errorf("a reference runtime that is not there: %d %s", code, why)
			}

			// A P2P connection with it is not made even if it is commanded.
			if err := core.Deploy(t.Context(), a.Runtime, registry.Deployment{URL: a.URL().Join("p2prequester", "x"), Role: sdk.RoleRequester,
				Plugin: built.transportIDs[0], Remote: ann.url, Handler: ann.url.Join("p2phandler", "x")}); err == nil {
				t.Error("a Requester was deployed")
			}
			s := a.status()
			if len(s.Sessions) != 0 || len(s.Connections) != 0 || len(s.WithoutSessions) == 0 {
				t.Fatalf("%+v", s)
			}
			if w := s.WithoutSessions[0]; w.Remote != "hyperty-runtime://example.com/r-ann" || w.Session != api.NoSession || w.Sent != 11 || w.Received != 11 {
				t.Errorf("%+v", w)
			}
			p, err := a.Path(t.Context(), hann)
			if err != nil || p.Session != api.NoSession || p.Way != api.WayRelay || !strings.Contains(p.Why, "not unread") {
				t.Errorf("%+v %v", p, err)
			}
		})
	}
}

// By default, and for all runtimes that are not named, nothing goes either way, and both senders are told what to configure.
func TestWithoutSessionRefused(t *testing.T) {
	t.Parallel()
	node := legacyNode(t, "example.com")
	for name, allow := range map[string]identity.WithoutSessions{
		"default":        {},
		"another peer":   {Peers: []message.URL{"runtime://example.com/r-else"}},
		"another domain": {Domains: []string{"xample.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: without(allow)})
			ann := startReference(t, node, "r-ann")
			bob := a.register("bob-" + strings.ReplaceAll(name, " ", "-"))
			bob.Handle(func(context.Context, hyperty.Received) { t.Error("bob got a message") })
			const hann message.URL = "hyperty://example.com/ann"
			ann.register(hann)
			for _, from := range []message.URL{hann, ann.url.Join("sm")} {
				if code, why := ann.ask(from, message.Read, bob.URL(), quote(1)); code != 403 && code != 404 || !strings.Contains(why, "trust.without_sessions") {
					t.Errorf("%s asks: %d %s", from, code, why)
				}
			}
			if n := a.lookups(); n > 0 && name != "another peer" { // the domain may be another runtime's that is allowed
				t.Errorf("%d look-ups for who cannot be allowed", n)
			}
			for _, to := range []message.URL{hann, ann.url.Join("sm")} {
				_, err := bob.Request(t.Context(), to, message.Read, nil)
				var refused *message.ResponseError
				if !errors.As(err, &refused) || refused.Code != 403 && refused.Code != 404 || !strings.Contains(refused.Description, "trust.without_sessions") {
					t.Errorf("bob asks %s: %v", to, err)
				}
				if _, err := a.Path(t.Context(), to); !errors.As(err, &refused) || refused.Code != 403 && refused.Code != 404 {
					t.Errorf("path to %s: %v", to, err)
				}
			}
			if s := a.status(); len(s.WithoutSessions) != 0 || len(s.Sessions) != 0 {
				t.Errorf("%+v", s)
			}
			for _, m := range ann.held {
				t.Errorf("ann got %+v %s", m, m.Body)
			}
		})
	}
}

// A domain that is allowed cannot use another's name: neither that of a runtime with a key, nor of its hyperty, nor of this
// runtime; nor can it answer a question that was not asked, or reach the components of the runtime.
func TestWithoutSessionForged(t *testing.T) {
	t.Parallel()
	node := legacyNode(t, "example.com")
	allow := without(identity.WithoutSessions{Domains: []string{"example.com"}})
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: allow})
	c := startRuntime(t, runtimeOptions{name: "c", nodes: []*nodeProcess{node}})
	eve := startReference(t, node, "r-eve")
	bob, carol := a.register("bob"), c.register("carol")
	const heve message.URL = "hyperty://example.com/eve"
	eve.register(heve)
	bob.Handle(func(ctx context.Context, m hyperty.Received) {
		if m.From != heve {
			t.Errorf("bob got %s from %s", m.Body, m.From)
		}
		_ = m.Answer(ctx, "yes")
	})
	bob.HandleResponses(func(_ context.Context, m message.Message) { t.Errorf("bob got an answer to nothing: %+v", m) })
	// The node would refuse what it recognizes as forged. Here its stub says it, as a node with altered code would.
	stub := a.URL().Join("protostub", "example.com")
	for _, from := range []message.URL{carol.URL(), c.URL(), c.URL().Join("sm"), bob.URL(), a.URL().Join("sm"), "hyperty://example.com/nobody", "mn:/session", "hyperty://xample.com/eve"} {
		for _, kind := range []message.Type{message.Create, message.Update, message.Response} {
			core.FromStub(a.Runtime, stub, message.Message{ID: message.NumberID(7), Type: kind, From: from, To: bob.URL(), Body: []byte(`{"code":200,"value":1}`)})
		}
	}
	core.FromStub(a.Runtime, stub, message.Message{ID: message.NumberID(8), Type: message.Response, From: heve, To: bob.URL(), Body: []byte(`{"code":200}`)})
	for _, to := range []message.URL{a.URL(), a.URL().Join("sm"), a.URL().Join("registry"), stub, stub.Join("status")} {
		core.FromStub(a.Runtime, stub, message.Message{ID: message.NumberID(9), Type: message.Update, From: heve, To: to, Body: []byte(`{"value":"failed"}`)})
		a.await("the refusal at "+string(to), func(e trace.Event) bool {
			return e.Kind == trace.Untrusted && strings.Contains(e.Value, string(to)+" takes messages in sessions only")
		})
	}
	if n := a.count(func(e trace.Event) bool {
		return e.Kind == trace.Untrusted && e.Peer != heve && e.Peer.Domain() == "example.com" && e.Peer != "hyperty://example.com/nobody"
	}); n > 0 {
		t.Errorf("%d refusals were answered to who has not asked", n)
	}
	// And through the node: eve posts in others' names.
	for n, from := range []message.URL{carol.URL(), c.URL().Join("sm"), bob.URL()} {
		eve.post(message.Message{ID: message.NumberID(uint64(100 + n)), Type: message.Create, From: from, To: bob.URL(), Body: []byte(quote(n))})
	}
	// The answer to a later message shows that those were handled: messages to bob keep their order.
	if code, why := eve.ask(heve, message.Read, bob.URL(), quote(1)); code != 200 {
		t.Errorf("in her own name: %d %s", code, why)
	}
	if st := a.status(); len(st.WithoutSessions) != 1 || st.WithoutSessions[0].Received != 1 {
		t.Errorf("%+v", st.WithoutSessions)
	}
	// Messages of runtimes with sessions go on.
	dave := a.register("dave")
	dave.Handle(answer)
	if code, why := ask(t, carol, message.Read, dave.URL(), `{}`); code != 200 {
		t.Errorf("carol asks dave: %d %s", code, why)
	}
}

// Another domain's node is not believed about runtimes of an allowed domain, which is not its own.
func TestWithoutSessionByAnotherNode(t *testing.T) {
	t.Parallel()
	here, there := legacyNode(t, "a.example"), legacyNode(t, "b.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{here, there}, change: without(identity.WithoutSessions{Domains: []string{"c.example", "b.example"}})})
	bob := a.register("bob")
	got := make(chan message.URL, 16)
	bob.Handle(func(_ context.Context, m hyperty.Received) { got <- m.From })
	if code, why := ask(t, bob, message.Read, message.DomainRegistryAddress("b.example"), `{"resource":"hyperty://b.example/x"}`); code != 404 { // its stub runs now
		t.Fatal(code, why)
	}
	own, other := a.URL().Join("protostub", "a.example"), a.URL().Join("protostub", "b.example")
	for _, c := range []struct {
		by, from message.URL
	}{
		{other, "runtime://c.example/r1/sm"}, {own, "runtime://c.example/r2/sm"}, {other, "runtime://b.example/r3/sm"}, {own, "runtime://b.example/r4/sm"},
	} {
		core.FromStub(a.Runtime, c.by, message.Message{ID: message.NumberID(1), Type: message.Update, From: c.from, To: bob.URL(), Body: []byte(`{}`)})
	}
	for _, want := range []message.URL{"runtime://c.example/r2/sm", "runtime://b.example/r3/sm", "runtime://b.example/r4/sm"} {
		if from := <-got; from != want {
			t.Errorf("got from %s, want %s", from, want)
		}
	}
}

// Data objects are shared in both directions through the node's subscription manager, and a change goes to the node once.
func TestObjectsWithoutSession(t *testing.T) {
	t.Parallel()
	node := legacyNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: without(identity.WithoutSessions{Domains: []string{"example.com"}})})
	bob := a.register("bob")
	observers := []*reference{startReference(t, node, "r-ann"), startReference(t, node, "r-dan")}
	room, err := bob.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room", Data: []byte(`{"n":0}`)})
	if err != nil {
		t.Fatal(err)
	}
	a.subscribed()
	for _, r := range observers {
		if code, why := r.ask(r.url.Join("sm"), message.Subscribe, message.SubscriptionAddress("example.com"), fmt.Sprintf(`{"resources":["%s/changes"]}`, room.URL())); code != 200 {
			t.Fatal(code, why)
		}
		if code, value := r.ask(r.url.Join("sm"), message.Subscribe, room.URL().Join("subscription"), fmt.Sprintf(`{"subscriber":"%s/h"}`, r.url)); code != 200 || !strings.Contains(value, `"n":0`) {
			t.Fatalf("subscribe: %d %s", code, value)
		}
	}
	for n := 1; n <= 3; n++ {
		if err := room.Set(t.Context(), "n", n); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range observers {
		for n := 1; n <= 3; n++ {
			m := r.await("a change", func(m message.Message) bool { return m.To == room.URL().Join("changes") })
			if m.From != room.URL() || !strings.Contains(string(m.Body), fmt.Sprintf(`"value":%d`, n)) {
				t.Errorf("change %d: %+v %s", n, m, m.Body)
			}
		}
	}
	if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Forward && e.To == room.URL().Join("changes") }); n != 3 {
		t.Errorf("3 changes left %d times", n)
	}
}

// A runtime without a session reports an object: a hyperty here observes it, and no other hyperty there can change it.
func TestObservingWithoutSession(t *testing.T) {
	t.Parallel()
	node := legacyNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: without(identity.WithoutSessions{Peers: []message.URL{"runtime://example.com/r-ann"}})})
	bob := a.register("bob")
	ann, eve := startReference(t, node, "r-ann"), startReference(t, node, "r-eve")
	code, value := ann.ask(ann.url.Join("registry"), message.Create, message.AllocationAddress("example.com"), `{"scheme":"comm","value":{"number":1}}`)
	var given struct{ Allocated []message.URL }
	if err := json.Unmarshal([]byte(value), &given); err != nil || len(given.Allocated) != 1 {
		t.Fatal(code, value, err)
	}
	room := given.Allocated[0]
	ann.register(room)
	if code, why := ann.ask(ann.url.Join("sm"), message.Subscribe, message.SubscriptionAddress("example.com"), fmt.Sprintf(`{"resources":["%s","%s/subscription"]}`, room, room)); code != 200 {
		t.Fatal(code, why)
	}
	type observed struct {
		o   *syncher.Observer
		err error
	}
	joined := make(chan observed, 1)
	go func() {
		o, err := bob.Objects().Observe(t.Context(), room)
		joined <- observed{o, err}
	}()
	m := ann.await("the subscription", func(m message.Message) bool { return m.Type == message.Subscribe })
	if m.From != a.URL().Join("sm") || m.To != room.Join("subscription") {
		t.Errorf("%+v", m)
	}
	ann.post(m.Respond(200, map[string]any{"url": room, "version": 1, "data": map[string]any{"n": 1}}))
	got := <-joined
	if got.err != nil {
		t.Fatal(got.err)
	}
	a.subscribed()
	update := func(r *reference, n, version int) {
		r.post(message.Message{ID: message.NumberID(uint64(1000 + version)), Type: message.Update, From: room, To: room.Join("changes"),
			Body: fmt.Appendf(nil, `{"version":%d,"attribute":"n","value":%d}`, version, n)})
	}
	update(eve, 666, 2)
	if code, why := eve.ask(room, message.Read, bob.URL(), `{}`); code != 403 { // the node knows that the address is ann's
		t.Errorf("eve in ann's name: %d %s", code, why)
	}
	update(ann, 2, 2)
	a.until("the change", waitTime, func() bool { return strings.Contains(string(got.o.Value()), `"n":2`) })
}

// subscribed waits until the node has answered the runtime's subscriptions to an object.
func (r *running) subscribed() {
	r.t.Helper()
	node := message.SubscriptionAddress(r.URL().NodeDomain())
	r.await("the node's answer to a subscription", func(e trace.Event) bool {
		return e.Kind == trace.Arrive && e.From == node && e.Type == message.Response
	})
}
