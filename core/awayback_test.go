package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A hyperty that registers while the node is away writes at once; its messages arrive over the node as soon as that is back.
func TestNewSenderOverANodeThatComesBack(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	nodes := []*nodeProcess{node}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: nodes, policy: "never"})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: nodes, policy: "never"})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	alice.Handle(answer)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		node.kill()
		ctx, cancel := context.WithTimeout(t.Context(), waitTime)
		var fresh *hyperty.Hyperty
		a.until("registered without a node", waitTime, func() (ok bool) {
			var err error
			fresh, err = a.Register(ctx, hyperty.Registration{})
			return err == nil
		})
		var list []*hyperty.Delivery
		for range 5 {
			d, err := fresh.SendTracked(ctx, bob.URL(), message.Read, nil)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
		}
		// The node is away for a moment and no event of its marks that: without the pause the messages may find it back already.
		time.Sleep(300 * time.Millisecond)
		node.start()
		for _, d := range list {
			if o, err := d.Wait(ctx); err != nil || o.State != hyperty.Delivered {
				t.Errorf("%+v, %v", o, err)
			}
		}
		cancel()
	}
}
