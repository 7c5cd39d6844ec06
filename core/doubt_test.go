package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A message that was sent to a life of the remote runtime that has ended is reported to its sender, who is never left without
// an outcome.
func TestInDoubtIsReported(t *testing.T) {
	t.Parallel()
	build(t)
	node := startNode(t, "example.com")
	dir := shortDir(t)
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	keep := func(c *core.Config) { c.DataDir = dir }
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: keep})
	alice, bob := a.register("alice"), b.register("bob")
	got := newLedger(bob)
	alice.Handle(func(context.Context, hyperty.Received) {})
	told := make(chan message.Message, 16)
	alice.HandleResponses(func(_ context.Context, m message.Message) { told <- m })
	if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	got.reach(t, 1)
	node.kill() // what is sent now stays on its way
	for n := range 3 {
		m := message.Message{ID: message.NumberID(uint64(n) + 100), Type: message.Update, To: bob.URL(), Body: message.Encode(map[string]int{"n": n + 2})}
		if err := alice.Post(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	b.close()
	node.start()
	b = startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: keep})
	if err := b.register("bob").Send(t.Context(), alice.URL(), map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 3; {
		m := <-told
		if m.ID == message.NumberID(1) { // it came, but its acknowledgement may have died with the node
			continue
		}
		r, err := m.Result()
		if err != nil || m.ID != message.NumberID(uint64(n)+100) || r.Code != message.CodeUnavailable || !strings.Contains(r.Description, "in doubt") {
			t.Errorf("response %s: %+v, %v", m.ID, r, err)
		}
		n++
	}
}
