package core_test

import (
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// An application that ends and comes back with its name is accepted at once: over a direct path while the node is away, when
// no Domain Registry can say whose the name is.
func TestNameComesBackWithoutANode(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := []string{built.transportIDs[0]}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: transport})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: transport})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	mutual(t, a, b)
	again := a.register("again")
	node.kill()
	for range 20 {
		d, err := again.SendTracked(t.Context(), bob.URL(), message.Read, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := d.Wait(t.Context()); err != nil || o.State != hyperty.Delivered {
			t.Fatalf("%v, %v", o, err)
		}
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again, err = a.Register(t.Context(), hyperty.Registration{Name: "again"}); err != nil {
			t.Fatal(err)
		}
	}
}
