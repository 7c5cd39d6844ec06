package core_test

import (
	"context"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// dial makes an application of the process.
func (p *process) dial(t *testing.T) *hyperty.Client {
	t.Helper()
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: p.socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = client.Close(ctx)
	})
	return client
}

// joined waits until the process's Message Node is connected.
func (p *process) joined(t *testing.T) {
	t.Helper()
	client, err := api.Dial(t.Context(), p.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(waitTime); ; {
		s, err := client.Status(t.Context())
		if err == nil && slices.ContainsFunc(s.Stubs, func(s api.Stub) bool { return s.Role == "node" && s.State == message.Live }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no node: %v", err)
		}
	}
}

// end ends the process by a signal.
func (p *process) end(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig)
	_ = p.cmd.Wait()
}

// The first request of a runtime that has started again, after kill -9 or SIGTERM, to a runtime that had a direct connection with it, is
// answered as soon as any other.
func TestFirstRequestAfterARestart(t *testing.T) {
	t.Run(oneTransport(t), func(t *testing.T) { firstRequest(t, oneTransport(t)) })
	otherTransports(t, firstRequest)
}

func firstRequest(t *testing.T, transport string) {
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}})
	alice := a.register("alice")
	alice.Handle(answer)
	dir := shortDir(t)
	var client *hyperty.Client
	start := func() (*process, *hyperty.Hyperty) {
		p := startProcess(t, dir, node, "plugins: {use: ["+transport+"]}")
		p.joined(t)
		client = p.dial(t)
		bob, err := client.Register(t.Context(), hyperty.Registration{Name: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		return p, bob
	}
	ended, cancel := context.WithCancel(t.Context()) // the runtime of a client that is closed has gone
	cancel()
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		a.forget()
		p, bob := start()
		if _, err := bob.Request(t.Context(), alice.URL(), message.Read, nil); err != nil {
			t.Fatal(err)
		}
		a.await("a live connection", func(e trace.Event) bool {
			return e.Kind == trace.Connection && e.Peer == p.url && e.Value == message.Live.String()
		})
		p.end(sig)
		_ = client.Close(ended)
		p, bob = start()
		began := time.Now()
		if _, err := bob.Request(t.Context(), alice.URL(), message.Read, nil); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		t.Logf("after %v the first request took %v", sig, took)
		usual := time.Now()
		if _, err := bob.Request(t.Context(), alice.URL(), message.Read, nil); err != nil {
			t.Fatal(err)
		}
		if most := max(200*time.Millisecond, 5*time.Since(usual)); took > most { // the second bounds what the machine does besides
			t.Errorf("after %v the first request took %v", sig, took)
		}
		p.end(syscall.SIGTERM)
		_ = client.Close(ended)
	}
}

// Changes that a reporter makes while its runtime starts again are no errors: they come behind what tells the runtime of the object.
func TestSetWhileTheRuntimeStartsAgain(t *testing.T) {
	node := startNode(t, "example.com")
	dir := shortDir(t)
	p := startProcess(t, dir, node, "plugins: {use: []}")
	bob, err := p.dial(t).Register(t.Context(), hyperty.Registration{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := bob.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		p.end(syscall.SIGKILL)
		said := make(chan error, 1)
		go func() { said <- rep.Set(t.Context(), "n", n) }()
		p = startProcess(t, dir, node, "plugins: {use: []}")
		if err := <-said; err != nil {
			t.Errorf("set: %v", err)
		}
	}
}
