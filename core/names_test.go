package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// application connects one to a runtime that serves them.
func application(t testing.TB, r *running) *hyperty.Client {
	t.Helper()
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: r.socket()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// answering has a hyperty answer each message with a text, and tells who sent it.
func answering(h *hyperty.Hyperty, with string) chan message.URL {
	from := make(chan message.URL, 1024)
	h.Handle(func(ctx context.Context, m hyperty.Received) {
		from <- m.From
		_ = m.Answer(ctx, with)
	})
	return from
}

// A runtime's applications register and unregister more often than it may have entries. None is refused; what is live is found.
func TestRegistrationsDoNotRunOut(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com", "PROTOFLY_NODE_LIMITS__REGISTRATIONS=8", "PROTOFLY_NODE_LIMITS__ADDRESSES=32")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	client := application(t, a)
	name, err := client.Register(t.Context(), hyperty.Registration{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	answering(name, "bob's")
	var last message.URL
	for i := range 50 {
		h, err := client.Register(t.Context(), hyperty.Registration{})
		if err != nil {
			t.Fatalf("the %dth: %v", i, err)
		}
		if last = h.URL(); h.Close(t.Context()) != nil {
			t.Fatal("close")
		}
	}
	alice := b.register("alice")
	if code, value := ask(t, alice, message.Read, name.URL(), `{}`); code != 200 || value != `"bob's"` {
		t.Errorf("%d %s", code, value)
	}
	if code, why := ask(t, alice, message.Read, last, `{}`); code != 408 && code != 404 {
		t.Errorf("one that has gone: %d %s", code, why)
	}
}

// A name moves from a runtime to another one when its owner gives it up, and not before; messages follow it, whoever writes the
// domain in whatever letters.
func TestANameMoves(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: served})
	c := startRuntime(t, runtimeOptions{name: "c", nodes: []*nodeProcess{node}})
	atA, atB, alice := application(t, a), application(t, b), c.register("alice")
	register := func(at *hyperty.Client, with string) *hyperty.Hyperty {
		t.Helper()
		h, err := at.Register(t.Context(), hyperty.Registration{Name: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		answering(h, with)
		return h
	}
	reaches := func(want string) {
		t.Helper()
		for _, to := range []message.URL{"hyperty://example.com/bob", "HYPERTY://Example.COM/bob"} {
			if code, value := ask(t, alice, message.Read, to, `{}`); code != 200 || value != fmt.Sprintf("%q", want) {
				t.Errorf("%s: %d %s, want %s", to, code, value, want)
			}
		}
	}
	first := register(atA, "a")
	reaches("a")
	refused := func() {
		t.Helper()
		_, err := atB.Register(t.Context(), hyperty.Registration{Name: "bob"})
		if no := (*message.ResponseError)(nil); !errors.As(err, &no) || no.Code != message.CodeConflict {
			t.Errorf("another's name: %v", err)
		}
	}
	refused()
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused() // it is still a's
	if err := first.Release(t.Context()); !errors.Is(err, hyperty.ErrClosed) {
		t.Errorf("released after its close: %v", err)
	}
	if err := register(atA, "a").Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := register(atB, "b")
	reaches("b")
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	register(atA, "a again")
	reaches("a again")
	for name, want := range map[string]string{"Bob": "capital letter", strings.Repeat("x", hyperty.MaxName+1): "65 bytes", "b~b": "character"} {
		if _, err := atA.Register(t.Context(), hyperty.Registration{Name: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A hyperty that is ephemeral asks and is answered, over the relay and, while the Message Node is away, over the direct path. It leaves
// nothing at the node.
func TestEphemeralSendersNeedNoNode(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com", "PROTOFLY_NODE_LIMITS__REGISTRATIONS=2", "PROTOFLY_NODE_LIMITS__ADDRESSES=32")
	use := []string{oneTransport(t)}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use})
	client, bob := application(t, a), b.register("bob")
	from := answering(bob, "here")
	asks := func() {
		t.Helper()
		for _, at := range []hyperty.Runtime{client, a} {
			h, err := at.Register(t.Context(), hyperty.Registration{Ephemeral: true})
			if err != nil {
				t.Fatal(err)
			}
			if !h.URL().Within(a.URL()) {
				t.Errorf("its address is %s", h.URL())
			}
			if code, value := ask(t, h, message.Read, bob.URL(), `{}`); code != 200 || value != `"here"` {
				t.Errorf("%d %s", code, value)
			}
			if got := <-from; got != h.URL() {
				t.Errorf("it came from %s", got)
			}
			m := message.Message{Type: message.Update, From: a.URL().Join("registry"), To: bob.URL()}
			if err := h.Bus().Post(t.Context(), m); err == nil && at == hyperty.Runtime(a) {
				t.Error("it may post as the runtime's registry")
			}
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	for range 5 {
		asks()
	}
	a.live(b)
	b.live(a)
	node.kill()
	for range 5 {
		asks()
	}
	if _, err := client.Register(t.Context(), hyperty.Registration{Name: "bob", Ephemeral: true}); err == nil {
		t.Error("an ephemeral hyperty has a name")
	}
}
