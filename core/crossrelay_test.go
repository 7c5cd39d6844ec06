package core_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
)

// Two runtimes of two domains send each other messages over two relays, each over the other domain's: a message over one
// relay is acknowledged over the other.
func TestRelaysOfTwoDomainsCarryBothWays(t *testing.T) {
	t.Parallel()
	here, there := startNode(t, "a.example"), startNode(t, "b.example")
	nodes := []*nodeProcess{here, there}
	a := startRuntime(t, runtimeOptions{name: "a", domain: "a.example", nodes: nodes, policy: "never"})
	b := startRuntime(t, runtimeOptions{name: "b", domain: "b.example", nodes: nodes, policy: "never"})
	alice, bob := a.register("alice"), b.register("bob")
	const each = 300
	body := strings.Repeat("x", 30<<10)
	type pair struct{ from, to *hyperty.Hyperty }
	done := make(chan struct{}, 2*each)
	for _, h := range []*hyperty.Hyperty{alice, bob} {
		h.Handle(func(context.Context, hyperty.Received) { done <- struct{}{} })
	}
	began := time.Now()
	for _, p := range []pair{{alice, bob}, {bob, alice}} {
		go func() {
			for range each {
				if err := p.from.Send(t.Context(), p.to.URL(), body); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	timeout := time.After(20 * time.Second)
	for n := range 2 * each {
		select {
		case <-done:
		case <-timeout:
			t.Fatalf("%d of %d messages in %v", n, 2*each, time.Since(began))
		}
	}
	t.Logf("%d messages in %v", 2*each, time.Since(began))
}
