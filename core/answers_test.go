package core_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// While alice waits for bob's answer, a hyperty that knows the ID of her request floods her with answers: over the relay,
// over the direct path, and from her own runtime. Only bob's counts, in the runtime's process and in another.
func TestOnlyWhoWasAskedAnswers(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := []string{built.transportIDs[0]}
	socket := func(c *core.Config) { c.Socket = filepath.Join(c.DataDir, "api") }
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: transport, change: socket})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: transport})
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: filepath.Join(a.dir, "api")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	outside, err := client.Register(t.Context(), hyperty.Registration{Name: "outside"})
	if err != nil {
		t.Fatal(err)
	}
	bob, eve, near := b.register("bob"), b.register("eve"), a.register("near")
	asked, release := make(chan struct{}), make(chan struct{})
	bob.Handle(func(ctx context.Context, m hyperty.Received) {
		asked <- struct{}{}
		<-release
		_ = m.Answer(ctx, "bob's")
	})
	for name, alice := range map[string]*hyperty.Hyperty{"in process": a.register("alice"), "over the socket": outside} {
		for _, way := range []string{"relay", "direct"} {
			if way == "direct" {
				a.live(b)
				b.live(a)
			}
			t.Run(name+", "+way, func(t *testing.T) {
				const id = 4711 // as if it had been guessed
				answers := make(chan message.Message, 1)
				go func() {
					m, err := alice.Bus().Request(t.Context(), message.Message{ID: message.NumberID(id), Type: message.Read, From: alice.URL(), To: bob.URL()})
					if err != nil {
						t.Error(err)
					}
					answers <- m
				}()
				<-asked
				stray := make(chan message.Message, 64)
				alice.HandleResponses(func(_ context.Context, m message.Message) { stray <- m })
				for _, from := range []*hyperty.Hyperty{eve, near} {
					for _, code := range []string{"200", "404", "100"} {
						m := message.Message{ID: message.NumberID(id), Type: message.Response, To: alice.URL(), Body: json.RawMessage(`{"code":` + code + `,"value":"eve's"}`)}
						if err := from.Post(t.Context(), m); err != nil {
							t.Error(err)
						}
					}
				}
				for range 6 { // they have come, and answer nothing
					select {
					case <-stray:
					case m := <-answers:
						t.Fatalf("%s has answered: %s", m.From, m.Body)
					case <-time.After(waitTime):
						t.Fatal("the strangers' responses do not come")
					}
				}
				release <- struct{}{}
				m := <-answers
				if r, err := m.Result(); err != nil || r.From != bob.URL() || string(r.Value) != `"bob's"` {
					t.Errorf("the answer is %+v, %v", r, err)
				}
			})
		}
	}
}

// Only the node of a domain answers for it, by its own stub. A stub of another domain's node, a stub of a P2P plug-in, and
// another runtime do not, nor do they decide a message's outcome.
func TestOnlyItsNodeAnswersForADomain(t *testing.T) {
	t.Parallel()
	node, other := startNode(t, "example.com"), startNode(t, "other.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node, other}})
	alice := a.register("alice")
	if _, err := alice.Request(t.Context(), message.DomainRegistryAddress("other.example"), message.Read, map[string]any{"resource": "hyperty://other.example/x"}); err == nil {
		t.Fatal("the other node knows somebody")
	}
	node.kill() // it does not answer
	evil := a.URL().Join("protostub", "other.example")
	for i, to := range []message.URL{message.DomainRegistryAddress("example.com"), "global://registry/function"} {
		id := uint64(4711 + i)
		d, err := alice.Track(t.Context(), message.Message{ID: message.NumberID(id), Type: message.Read, To: to, Body: json.RawMessage(`{"resource":"hyperty://example.com/x"}`)})
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []message.URL{to, message.DomainRegistryAddress("other.example"), "domain://msg-node.other.example/sm", "hyperty://other.example/x",
			evil, "global://registry/function"} {
			core.FromStub(a.Runtime, evil, message.Message{ID: message.NumberID(id), Type: message.Response, From: from, To: alice.URL(), Body: json.RawMessage(`{"code":200}`)})
		}
		bounded, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		go func() {
			for bounded.Err() == nil {
				core.FromStub(a.Runtime, evil, message.Message{ID: message.NumberID(77), Type: message.Response, From: to, To: alice.URL(), Body: json.RawMessage(`{"code":200}`)})
			}
		}()
		if m, err := alice.Bus().Request(bounded, message.Message{ID: message.NumberID(77), Type: message.Read, From: alice.URL(), To: to}); err == nil {
			t.Errorf("to %s: another domain's node has answered: %s %s", to, m.From, m.Body)
		}
		cancel()
		if o := d.Outcome(); o.State != hyperty.Queued {
			t.Errorf("to %s: another domain's node has settled it: %v", to, o)
		}
	}
}

// With the direct path live and the Message Node dead, a new hyperty is registered, its messages are accepted, and it is
// answered, without a look-up: its runtime has announced it in the session.
func TestNewSenderWithoutANode(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := []string{built.transportIDs[0]}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: transport})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: transport})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	alice.Handle(answer)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	mutual(t, a, b)
	var last *hyperty.Hyperty
	rounds := func(count int) (registered, answered []time.Duration) {
		for range count {
			began := time.Now()
			fresh, err := a.Register(t.Context(), hyperty.Registration{})
			if err != nil {
				t.Fatalf("registered without a node: %v", err)
			}
			registered = append(registered, time.Since(began))
			last = fresh
			d, err := fresh.SendTracked(t.Context(), bob.URL(), message.Read, nil)
			if err != nil {
				t.Fatal(err)
			}
			if o, err := d.Wait(t.Context()); err != nil || o.State != hyperty.Delivered {
				t.Errorf("%v, %v", o, err)
			}
			if r, err := fresh.Request(t.Context(), bob.URL(), message.Read, nil); err != nil || string(r.Value) != `"here"` {
				t.Errorf("the answer is %s, %v", r.Value, err)
			}
			answered = append(answered, time.Since(began))
		}
		return registered, answered
	}
	usually, usual := rounds(4)
	node.kill()
	b.forget()
	registered, answered := rounds(12) // more than one block of addresses
	soon(t, registered, usually)
	soon(t, answered, usual)
	if n := b.count(func(e trace.Event) bool {
		return e.Kind == trace.Post && e.Type == message.Read && e.To == message.DomainRegistryAddress("example.com")
	}); n > 0 {
		t.Errorf("%d look-ups", n)
	}
	node.start() // now it gets the registrations, and others find them
	last.Handle(answer)
	c := startRuntime(t, runtimeOptions{name: "c", nodes: []*nodeProcess{node}, use: transport})
	carol := c.register("carol")
	c.until("an answer of the new hyperty", waitTime, func() bool {
		r, err := carol.Request(t.Context(), last.URL(), message.Read, nil)
		return err == nil && string(r.Value) == `"here"`
	})
}
