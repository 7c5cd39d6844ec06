package core_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// counting is a server on this machine that counts the connections to it.
func counting(t *testing.T) (address string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int32{}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); accepting.Wait() })
	return l.Addr().String(), connections
}

// A client of the node claims to be of another domain. It cannot make this runtime connect to that domain: neither by its
// frames nor, once it has proven its key, by its requests. It is answered the way its messages came. The runtime would be
// allowed to connect to that domain, so nothing else prevents it.
func TestStrangerSteersNoConnection(t *testing.T) {
	t.Parallel()
	victim, connections := counting(t)
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: onLoopback})
	stranger := startRuntime(t, runtimeOptions{name: "stranger", domain: victim, nodes: []*nodeProcess{node}, change: func(c *core.Config) {
		c.Nodes[victim] = "ws://" + freeAddress(t) // no server runs at the address of its own domain's node
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 5 {
		answer, err := core.Request(ctx, stranger.Runtime, message.Message{Type: message.Subscribe, To: a.URL().Join("registry"),
			Body: message.Encode(map[string]any{"subscribe": []message.URL{a.URL().Join("registry", "changes")}})})
		if err != nil {
			t.Fatalf("the stranger was not answered: %v", err)
		}
		if answer.From.Runtime() != a.URL() {
			t.Fatalf("%+v", answer)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to a domain that a stranger made up", n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Kind == trace.Deploy && strings.Contains(string(e.Via), victim) {
			t.Errorf("a stub was deployed: %+v", e)
		}
	}
}
