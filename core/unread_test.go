package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// tap is a listener between a runtime and its Message Node that keeps what the node sends: this is what the other runtimes'
// plug-ins were given, since they pass frames on unchanged.
type tap struct {
	mu   sync.Mutex
	seen bytes.Buffer
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *tap) saw(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.seen.Bytes(), []byte(text))
}

// before puts the tap in front of a node.
func (p *tap) before(t *testing.T, node *nodeProcess) *nodeProcess {
	return between(t, node, func(to io.Writer, from io.Reader) { _, _ = io.Copy(io.MultiWriter(to, p), from) })
}

// between puts a listener in front of a node: what the node sends goes through pass, what is sent to it is not changed.
func between(t *testing.T, node *nodeProcess, pass func(to io.Writer, from io.Reader)) *nodeProcess {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", node.listen)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			wg.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			wg.Go(func() { pass(in, out); _ = in.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	lying := *node
	lying.url = strings.Replace(node.url, node.listen, listener.Addr().String(), 1)
	return &lying
}

// Nothing of a message between two runtimes can be read in what plug-ins and Message Nodes see.
func TestUnread(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	var toA, toB tap
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{toA.before(t, node)}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{toB.before(t, node)}})
	alice, bob := a.register("alice"), b.register("bob")
	const question, answer = "the-secret-question", "the-secret-answer"
	bob.Handle(func(ctx context.Context, m hyperty.Received) {
		if !bytes.Contains(m.Body, []byte(question)) {
			t.Errorf("bob got %s", m.Body)
		}
		if err := m.Answer(ctx, answer); err != nil {
			t.Error(err)
		}
	})
	for range 20 {
		m, err := alice.Request(t.Context(), bob.URL(), message.Read, map[string]string{"resource": question})
		if err != nil || !bytes.Contains(m.Value, []byte(answer)) {
			t.Fatalf("answer %s, %v", m.Value, err)
		}
	}
	for text, want := range map[string]bool{question: false, answer: false, string(a.URL()): true} {
		if toB.saw(text) != want {
			t.Errorf("on the way to b is %q: %v", text, !want)
		}
	}
	for text, want := range map[string]bool{question: false, answer: false, string(b.URL()): true} {
		if toA.saw(text) != want {
			t.Errorf("on the way to a is %q: %v", text, !want)
		}
	}
}

// A trace has bodies of messages only where that was asked for: this holds for the trace of the configuration and for the
// API's.
func TestTraceSaysNothingOfBodies(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	socket := filepath.Join(shortDir(t), "api.sock")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: func(c *core.Config) { c.TraceBodies, c.Socket = false, socket }})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	alice, bob := a.register("alice"), b.register("bob")
	const question, answer = "the-secret-question", "the-secret-answer"
	bob.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, answer) })
	traced := func(bodies bool) string {
		client, err := api.Dial(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ready, text := make(chan struct{}), make(chan string, 1)
		go func() {
			var all strings.Builder
			var done bool
			_ = client.Trace(ctx, bodies, func() { close(ready) }, func(e trace.Event, _ uint64) {
				_ = json.NewEncoder(&all).Encode(e)
				if e.Kind == trace.Deliver && e.To == alice.URL() && !done {
					done = true
					cancel()
				}
			})
			text <- all.String()
		}()
		select {
		case <-ready:
		case <-time.After(waitTime):
			t.Fatal("no trace")
		}
		if _, err := alice.Request(t.Context(), bob.URL(), message.Read, map[string]string{"resource": question}); err != nil {
			t.Fatal(err)
		}
		select {
		case all := <-text:
			return all
		case <-time.After(waitTime):
			t.Fatal("no event of the answer")
			return ""
		}
	}
	if all := traced(true); !strings.Contains(all, question) || !strings.Contains(all, answer) {
		t.Errorf("with bodies: %s", all)
	}
	if all := traced(false); strings.Contains(all, question) || strings.Contains(all, answer) || !strings.Contains(all, string(bob.URL())) {
		t.Errorf("without bodies: %s", all)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if text, err := json.Marshal(a.events); err != nil || strings.Contains(string(text), question) || strings.Contains(string(text), answer) || !strings.Contains(string(text), string(bob.URL())) {
		t.Errorf("in the configured trace: %v, %s", err, text)
	}
}

// A runtime that is not on the allow-list is refused, and the error says what to do; both sides are told.
func TestTrust(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: func(c *core.Config) { c.Trust.Peers = []message.URL{a.URL()} }})
	c := startRuntime(t, runtimeOptions{name: "c", nodes: []*nodeProcess{node}})
	alice, bob, carol := a.register("alice"), b.register("bob"), c.register("carol")
	got := newLedger(bob)
	s := &sender{h: alice, to: bob.URL()}
	got.reach(t, s.send(t, 10))
	_, err := bob.Request(t.Context(), carol.URL(), message.Read, nil)
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != message.CodeForbidden || !strings.Contains(refused.Description, "trust.peers") {
		t.Errorf("from the side that refuses: %v", err)
	}
	if err := carol.Send(t.Context(), bob.URL(), map[string]int{"n": 11}); err != nil {
		t.Error(err)
	}
	e := b.await("refusal", func(e trace.Event) bool { return e.Kind == trace.Untrusted })
	if e.Peer != c.URL() || !strings.Contains(e.Value, "trust.peers") {
		t.Errorf("event %+v", e)
	}
	got.reach(t, s.send(t, 1)) // number 11 is alice's
}

// A name that is pinned to one runtime is not accepted at another.
func TestPinnedName(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	bob := b.register("bob")
	dir := shortDir(t)
	elsewhere := message.URL("hyperty-runtime://example.com/" + strings.Repeat("a", 32))
	pinned := func(c *core.Config) {
		c.DataDir = dir
		c.Trust = identity.Trust{Mode: identity.Pinned}
	}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: pinned})
	got := newLedger(bob)
	s := &sender{h: a.register("alice"), to: bob.URL()}
	got.reach(t, s.send(t, 3)) // the first use makes it known
	c := startRuntime(t, runtimeOptions{name: "c", nodes: []*nodeProcess{node}, change: func(c *core.Config) {
		c.Trust.Pins = map[message.URL]message.URL{bob.URL(): elsewhere}
	}})
	_, err := c.register("carol").Request(t.Context(), bob.URL(), message.Read, nil)
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != message.CodeForbidden || !strings.Contains(refused.Description, "trust.pins") {
		t.Errorf("to a name that belongs elsewhere: %v", err)
	}
	j, err := identity.Trust{Mode: identity.Pinned}.Policy(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Name(bob.URL(), elsewhere, true); !errors.Is(err, identity.ErrOtherOwner) || !strings.Contains(err.Error(), identity.KnownFile) {
		t.Errorf("after the first use: %v", err)
	}
}
