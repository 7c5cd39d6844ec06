package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A message that an application must not send is refused with an error that says why, in the runtime's process and in
// another, and harms nothing: the next message arrives, over the relay and over the direct path.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := built.transportIDs[0]
	socket := func(c *core.Config) { c.Socket = filepath.Join(c.DataDir, "api") }
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}, change: socket})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{transport}})
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: filepath.Join(a.dir, "api")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	outside, err := client.Register(t.Context(), hyperty.Registration{Name: "outside"})
	if err != nil {
		t.Fatal(err)
	}
	bob := b.register("bob")
	bob.Handle(answer)
	for name, alice := range map[string]*hyperty.Hyperty{"in process": a.register("alice"), "over the socket": outside} {
		t.Run(name, func(t *testing.T) { refusesBadMessages(t, alice, bob) })
	}
	a.live(b)
	b.live(a)
	mutual(t, a, b)
	for _, r := range []*running{a, b} {
		for _, p := range r.status().Plugins {
			if p.Restarts != 0 {
				t.Errorf("a plug-in has crashed: %+v", p)
			}
		}
	}
}

func refusesBadMessages(t *testing.T, alice, bob *hyperty.Hyperty) {
	works := func(after string) {
		t.Helper()
		if r, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil || string(r.Value) != `"here"` {
			t.Errorf("a request after %s: %s, %v", after, r.Value, err)
		}
	}
	works("nothing")
	large := map[string]string{"text": strings.Repeat("x", 2<<20)}
	if err := alice.Send(t.Context(), bob.URL(), large); !errors.Is(err, message.ErrTooLarge) || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a message of 2 MiB: %v", err)
	}
	works("a message of 2 MiB")
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, large); err == nil {
		t.Error("a request of 2 MiB was taken")
	}
	works("a request of 2 MiB")
	largest := map[string]string{"text": strings.Repeat("x", message.MaxBody-100)}
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, largest); err != nil {
		t.Errorf("a request just below the limit: %v", err)
	}
	for what, m := range map[string]message.Message{
		"an unknown type":     {Type: 99, To: bob.URL()},
		"no type":             {To: bob.URL()},
		"no address":          {Type: message.Update},
		"a bad address":       {Type: message.Update, To: "bob"},
		"a wrong scheme":      {Type: message.Update, To: "http:bob"},
		"a body that is none": {Type: message.Update, To: bob.URL(), Body: json.RawMessage(`[1,2]`)},
		"a body of nonsense":  {Type: message.Update, To: bob.URL(), Body: json.RawMessage(`{nonsense}`)},
		"a forged from":       {Type: message.Update, From: bob.URL(), To: bob.URL()},
	} {
		if err := alice.Post(t.Context(), m); err == nil && what != "a forged from" {
			t.Errorf("%s was taken", what)
		} else if err == nil && what == "a forged from" {
			t.Log("the forged from is refused by a response") // from another process
		}
		works(what)
	}
	answered := make(chan message.Message, 16)
	alice.HandleResponses(func(_ context.Context, m message.Message) { answered <- m })
	for _, to := range []message.URL{bob.URL(), "hyperty://example.com/nobody", alice.Runtime().Join("registry"), bob.Runtime().Join("sm")} {
		m := message.Message{ID: message.NumberID(4711), Type: message.Response, To: to, Body: json.RawMessage(`{"code":200,"value":["hyperty://example.com/x"]}`)}
		if err := alice.Post(t.Context(), m); err != nil {
			t.Logf("a response nobody asked for, to %s: %v", to, err)
		}
		works("a response nobody asked for")
	}
	select {
	case m := <-answered:
		t.Errorf("a response was answered: %+v", m)
	default:
	}
}

// A message that is posted in another hyperty's name does not arrive.
func TestForgedFrom(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	alice, carol, bob := a.register("alice"), a.register("carol"), b.register("bob")
	bob.Handle(answer)
	for _, from := range []message.URL{carol.URL(), bob.URL(), "hyperty://example.com/nobody", a.URL(), a.URL().Join("registry"),
		b.URL().Join("sm"), message.DomainRegistryAddress("example.com")} {
		if err := alice.Post(t.Context(), message.Message{Type: message.Update, From: from, To: bob.URL()}); err == nil {
			t.Errorf("from %s was taken", from)
		}
	}
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Error(err)
	}
	if n := b.count(func(e trace.Event) bool { return e.Kind == trace.Deliver && e.To == bob.URL() && e.From != alice.URL() }); n != 0 {
		t.Errorf("%d forged messages were delivered", n)
	}
}
