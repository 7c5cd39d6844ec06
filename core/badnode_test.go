package core_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// silence accepts TCP connections at an address, reads what comes and says nothing.
func silence(t testing.TB, address string) (at string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { _, _ = io.Copy(io.Discard, c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// unanswered checks that err says that the node did not answer, in time.
func unanswered(t testing.TB, what string, err error, began time.Time, within time.Duration) {
	t.Helper()
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != message.CodeUnavailable && refused.Code != message.CodeTimeout {
		t.Errorf("%s: %v", what, err)
	}
	if took := time.Since(began); took > within {
		t.Errorf("%s was refused after %v, more than %v: %v", what, took, within, err)
	} else {
		t.Logf("%s was refused after %v: %v", what, took.Round(time.Millisecond), err)
	}
}

// A node accepts connections and never says anything: the runtime starts, and calls that need the node fail in time, with an
// error that says that there is no answer.
func TestNodeThatNeverAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the times to wait for an answer add up to 20 s")
	}
	build(t)
	deaf := &nodeProcess{domain: "example.com", url: "ws://" + silence(t, "127.0.0.1:0") + "/ws"}
	var a *running
	fastest := waitTime
	for range 3 { // the machine may be busy with something else
		began := time.Now()
		a = startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{deaf}, use: built.transportIDs[:1]})
		if fastest = min(fastest, time.Since(began)); fastest <= 5*time.Second {
			break
		}
	}
	if fastest > 5*time.Second {
		t.Errorf("the start took %v", fastest)
	}
	began := time.Now()
	_, err := a.Register(t.Context(), hyperty.Registration{Name: "alice"})
	unanswered(t, "a registration", err, began, 20*time.Second)
	if n := len(a.status().Hyperties); n != 0 {
		t.Errorf("%d hyperties", n)
	}
}

// The node falls silent while a runtime runs: local messages go on, and messages to other addresses are refused in time.
func TestNodeThatFallsSilent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the times to wait for an answer add up to 20 s")
	}
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: built.transportIDs[:1]})
	alice, bob := a.register("alice"), a.register("bob")
	bob.Handle(answer)
	node.kill()
	silence(t, node.listen)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Errorf("a local request: %v", err)
	}
	began := time.Now()
	_, err := alice.Request(t.Context(), "hyperty://example.com/far", message.Read, nil)
	unanswered(t, "a request to an address that must be looked up", err, began, 25*time.Second)
	began = time.Now()
	_, err = alice.Request(t.Context(), message.DomainRegistryAddress("example.com"), message.Read, map[string]any{"resource": bob.URL()})
	unanswered(t, "a request to the Domain Registry", err, began, 30*time.Second)
	if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
		t.Errorf("a local request: %v", err)
	}
}

// A node whose port is in use says so and ends.
func TestNodesPortInUse(t *testing.T) {
	t.Parallel()
	build(t)
	at := silence(t, "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, built.node, "run", "--listen", at, "--domain", "example.com", "--data", shortDir(t)).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() <= 0 {
		t.Errorf("it ended with %v", err)
	}
	if text := string(out); !strings.Contains(text, at) || !strings.Contains(text, "in use") || strings.Contains(text, "goroutine") {
		t.Errorf("it said %q", out)
	}
}
