package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// ledger checks that numbered messages come once and in order.
type ledger struct {
	mu     sync.Mutex
	next   int
	wrong  []string
	change chan struct{}
}

func newLedger(h *hyperty.Hyperty) *ledger {
	l := &ledger{next: 1, change: make(chan struct{})}
	h.Handle(func(_ context.Context, m hyperty.Received) {
		var v struct{ N int }
		err := m.Decode(&v)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil || v.N != l.next {
			l.wrong = append(l.wrong, fmt.Sprintf("got %s instead of %d", m.Body, l.next))
		}
		l.next = max(l.next, v.N+1)
		close(l.change)
		l.change = make(chan struct{})
	})
	return l
}

// reach waits until message n has come.
func (l *ledger) reach(t testing.TB, n int) {
	t.Helper()
	timeout := time.After(waitTime)
	for {
		l.mu.Lock()
		next, wrong, change := l.next, l.wrong, l.change
		l.mu.Unlock()
		if len(wrong) > 0 {
			t.Fatalf("%d messages wrong, first: %s", len(wrong), wrong[0])
		}
		if next > n {
			return
		}
		select {
		case <-change:
		case <-timeout:
			t.Fatalf("message %d has not come within %v; the last was %d", n, waitTime, next-1)
		}
	}
}

// sender sends the next numbers.
type sender struct {
	h  *hyperty.Hyperty
	to message.URL
	n  int
}

func (s *sender) send(t testing.TB, count int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	for range count {
		s.n++
		if err := s.h.Send(ctx, s.to, map[string]int{"n": s.n}); err != nil {
			t.Fatalf("send %d: %v", s.n, err)
		}
	}
	return s.n
}

// Messages move from the relay to a live connection, in both directions, over every transport alike.
func TestMoveToTheDirectPath(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		node := startNode(t, "example.com")
		a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}})
		b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{transport}})
		alice, bob := a.register("alice"), b.register("bob")
		fromAlice, fromBob := newLedger(bob), newLedger(alice)
		there, back := &sender{h: alice, to: bob.URL()}, &sender{h: bob, to: alice.URL()}
		there.send(t, 1)
		if e := a.await("first message", func(e trace.Event) bool { return e.Kind == trace.Forward && e.To == bob.URL() }); e.Via != a.URL().Join("protostub", "example.com") {
			t.Errorf("the first message left by %s", e.Via)
		}
		back.send(t, 1)
		a.live(b)
		b.live(a)
		p, err := a.Path(t.Context(), bob.URL())
		if err != nil || p.Way != api.WayDirect || p.Remote != b.URL() {
			t.Errorf("path after live: %+v, %v", p, err)
		}
		fromAlice.reach(t, there.send(t, 500))
		fromBob.reach(t, back.send(t, 500))
		if ca, cb := a.connections(b), b.connections(a); len(ca) != 1 || len(cb) != 1 || ca[0].Plugin != transport || cb[0].Plugin != transport {
			t.Errorf("connections %+v and %+v", ca, cb)
		}
	})
}

// Without a P2P plug-in, or with one that the other side lacks, all messages go over the Message Node.
func TestRelayOnly(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	alice, bob := a.register("alice"), b.register("bob")
	got := newLedger(bob)
	s := &sender{h: alice, to: bob.URL()}
	got.reach(t, s.send(t, 2000))
	if c := a.connections(b); len(c) != 0 {
		t.Errorf("connections %+v", c)
	}
}

// A runtime of another domain, whose node is found at the domain's well-known URL.
func TestForeignDomain(t *testing.T) {
	t.Parallel()
	build(t)
	at := freeAddress(t)
	far := &nodeProcess{t: t, domain: at, dir: shortDir(t), listen: at}
	far.start()
	t.Cleanup(far.stop)
	near := startNode(t, "example.com")
	transport := built.transportIDs[0]
	a := startRuntime(t, runtimeOptions{name: "a", domain: "example.com", nodes: []*nodeProcess{near}, use: []string{transport}, change: onLoopback})
	b := startRuntime(t, runtimeOptions{name: "b", domain: at, nodes: []*nodeProcess{near}, use: []string{transport}})
	alice, bob := a.register("alice"), b.register("bob")
	got := newLedger(bob)
	s := &sender{h: alice, to: bob.URL()}
	got.reach(t, s.send(t, 10))
	a.live(b)
	b.live(a)
	got.reach(t, s.send(t, 100))
}

func TestNobodyKnowsTheAddress(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	alice := a.register("alice")
	_, err := alice.Request(t.Context(), "hyperty://example.com/nobody", message.Read, nil)
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != message.CodeNotFound {
		t.Errorf("a request to nobody: %v", err)
	}
	if err := alice.Post(t.Context(), message.Message{Type: message.Create, From: "hyperty://example.com/mallory", To: alice.URL()}); err == nil {
		t.Error("a forged from was taken")
	}
}
