package core_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A hyperty posts from an address below its own and listens there, with a name or without, in the process or over the socket: it gets
// answers, requests, outcomes and refusals there, from its own runtime and from another one. What is posted to an address below it at which
// nobody listens is refused.
func TestAddressesBelowAHyperty(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	use := []string{oneTransport(t)}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use, change: served})
	atA, atB := application(t, a), application(t, b)
	askers := map[string]*hyperty.Hyperty{}
	for name, r := range map[string]hyperty.Registration{"named": {Name: "alice"}, "ephemeral": {Ephemeral: true}} {
		for where, at := range map[string]hyperty.Runtime{"in process": a, "over the socket": atA} {
			if r.Name != "" {
				r.Name += where[:2]
			}
			h, err := at.Register(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			askers[name+", "+where] = h
		}
	}
	for where, at := range map[string]hyperty.Runtime{"here, in process": a, "here, over the socket": atA, "there, in process": b, "there, over the socket": atB} {
		bob, err := at.Register(t.Context(), hyperty.Registration{Name: "bob" + where[:1] + where[len(where)-1:]})
		if err != nil {
			t.Fatal(err)
		}
		bob.Handle(func(context.Context, hyperty.Received) { t.Errorf("%s: the hyperty itself got the message", where) })
		child := bob.URL().Join("room", "1")
		stop := bob.Bus().Listen(child, answersReads(bob))
		for name, alice := range askers {
			askBelow(t, name+", to one "+where, alice, child)
		}
		stop()
		for name, alice := range askers {
			if code, why := ask(t, alice, message.Read, child, `{}`); code != 404 {
				t.Errorf("%s, to one %s that has stopped: %d %s", name, where, code, why)
			}
		}
	}
	a.live(b) // the same holds on the direct path, and with ways that are remembered
	bob := b.application("bobby")
	child := bob.URL().Join("room")
	bob.Bus().Listen(child, answersReads(bob))
	for name, alice := range askers {
		for range 4 {
			askBelow(t, name+", direct", alice, child)
		}
	}
}

// answersReads answers in the name of the address that was asked.
func answersReads(h *hyperty.Hyperty) message.Handler {
	return func(ctx context.Context, m message.Message) {
		if m.Type == message.Read {
			_ = h.Post(ctx, m.Respond(message.CodeOK, json.RawMessage(`"child"`)))
		}
	}
}

// askBelow has a hyperty ask and send from an address below its own, to one below another's, whose answer is "child".
func askBelow(t *testing.T, what string, alice *hyperty.Hyperty, to message.URL) {
	t.Helper()
	from, ctx := alice.URL().Join("desk"), t.Context()
	answer, err := alice.Bus().Request(ctx, message.Message{Type: message.Read, From: from, To: to})
	if err == nil {
		_, err = answer.OK()
	}
	if err != nil || answer.From != to || answer.To != from {
		t.Errorf("%s: %+v, %v", what, answer, err)
	}
	d, err := alice.Track(ctx, message.Message{Type: message.Update, From: from, To: to})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if o, err := await(d); err != nil || o.State != hyperty.Delivered {
		t.Errorf("%s, tracked: %v, %v", what, o, err)
	}
	heard, told := make(chan message.Message, 4), make(chan message.Message, 4)
	alice.HandleResponses(func(_ context.Context, m message.Message) { told <- m })
	nobody := message.Message{Type: message.Update, From: from, To: to + "/nobody"}
	post := func(at <-chan message.Message) {
		t.Helper()
		if err := alice.Post(ctx, nobody); err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		m := nextOf(t, what, at)
		if r, err := m.Result(); err != nil || r.Code != message.CodeNotFound || m.To != from {
			t.Errorf("%s: told %+v, %v", what, m, err)
		}
	}
	post(told)
	stop := alice.Bus().Listen(from, func(_ context.Context, m message.Message) { heard <- m })
	post(heard)
	stop()
	if len(told) > 0 {
		t.Errorf("%s: %+v came to HandleResponses", what, <-told)
	}
}

// nextOf is the next message of a channel.
func nextOf(t *testing.T, what string, of <-chan message.Message) message.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	select {
	case m := <-of:
		return m
	case <-ctx.Done():
		t.Fatalf("%s: nothing came", what)
		return message.Message{}
	}
}
