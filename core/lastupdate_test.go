package core_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// The node is away for a while, and what was published meanwhile is given up. Nothing is published after that: an observer behind another
// runtime's socket has the last value nevertheless, and hears of the end of an object.
func TestLongALastUpdateThatIsGivenUp(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	node := startNode(t, "example.com")
	start := func(name string) *running {
		return startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{node}, policy: "never", change: func(c *core.Config) {
			served(c)
			core.SetUnacked(c, 2*time.Second)
		}})
	}
	a, b := start("a"), start("b")
	alice, bob := a.application("alice"), b.application("bob")
	report := func(id string) (*syncher.Reporter, replica) {
		r, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", ID: id, Data: json.RawMessage(`{"n":0}`), Grace: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return r, observe(t, bob, r.URL())
	}
	changed, here := report("changed")
	deleted, gone := report("deleted")
	for n := 1; n <= 2; n++ {
		node.kill()
		if err := changed.Set(t.Context(), "n", n); err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			if err := deleted.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		d, err := alice.SendTracked(t.Context(), bob.URL(), message.Update, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := await(d); err != nil || o.State == hyperty.Delivered { // it is behind what was published
			t.Fatal(o, err)
		}
		node.start()
		began := time.Now()
		here.until(n)
		t.Logf("n = %d is there %v after the node's return", n, time.Since(began))
	}
	end := gone.want("the end", 2*time.Minute, func(c syncher.Change) bool { return c.Deleted })
	if end.End != syncher.EndDeleted {
		t.Errorf("the end %+v", end)
	}
}
