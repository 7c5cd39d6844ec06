package api

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A receiver that takes nothing holds up what a hyperty posts to it, and neither what it posts to others nor other
// hyperties. Who posts to it is told. In the end everything has come, in order.
func TestPostsToASlowReceiver(t *testing.T) {
	t.Parallel()
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	gate := make(chan struct{})
	var mu sync.Mutex
	var slowly []string
	all := make(chan struct{})
	expected := -1
	h.listeners.Listen("hyperty://example.com/slow", func(_ context.Context, m message.Message) {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		slowly = append(slowly, m.ID.String())
		if len(slowly) == expected {
			close(all)
		}
	})
	c := dial(t, hyperty.Options{Socket: socket})
	alice, bob := register(t, c, "alice"), register(t, c, "bob")
	var posted []string
	for n := uint64(1); ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := alice.Post(ctx, message.Message{ID: message.NumberID(n), Type: message.Update, To: "hyperty://example.com/slow"})
		cancel()
		if errors.Is(err, message.ErrBackpressure) {
			if !strings.Contains(err.Error(), "hyperty://example.com/slow") {
				t.Errorf("the error does not name who is behind: %v", err)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		posted = append(posted, message.NumberID(n).String())
	}
	for range 2000 {
		if err := alice.Send(limit(t), bob.URL(), "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Receive(limit(t)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	expected = len(posted)
	mu.Unlock()
	close(gate)
	select {
	case <-all:
	case <-limit(t).Done():
		t.Fatal("not everything has come")
	}
	if strings.Join(slowly, " ") != strings.Join(posted, " ") {
		t.Errorf("came in another order: %v", slowly)
	}
}

// What became of a message is told to the application that asks; a connection that breaks leaves it in doubt.
func TestTrackedPosts(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	server := serve(t, h, socket)
	gate := make(chan struct{})
	h.listeners.Listen("hyperty://example.com/slow", func(context.Context, message.Message) { <-gate })
	c := dial(t, hyperty.Options{Socket: socket})
	alice := register(t, c, "alice")
	track := func(to message.URL) *hyperty.Delivery {
		t.Helper()
		d, err := alice.SendTracked(limit(t), to, message.Update, "x")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	outcome := func(d *hyperty.Delivery) hyperty.Outcome {
		t.Helper()
		o, err := d.Wait(limit(t))
		if err != nil {
			t.Errorf("%v: %v", o, err)
		}
		return o
	}
	if o := outcome(track("hyperty://example.com/nobody")); o.State != hyperty.Refused || o.Code != message.CodeNotFound || o.Err() == nil {
		t.Errorf("to nobody: %v", o)
	}
	waits := track("hyperty://example.com/slow")
	if o := waits.Outcome(); o.State != hyperty.Queued {
		t.Errorf("to a slow one: %v", o)
	}
	gate <- struct{}{}
	if o := outcome(waits); o.State != hyperty.Delivered || o.Err() != nil {
		t.Errorf("to a slow one: %v", o)
	}
	if _, err := alice.Track(limit(t), message.Message{Type: message.Update, To: "nonsense"}); err == nil {
		t.Error("a message to nowhere was taken")
	}
	waits = track("hyperty://example.com/slow")
	for range hyperty.MaxTracked - 1 { // the slow one's share of the window is not enough for that
		d, err := alice.SendTracked(limit(t), "hyperty://example.com/nobody", message.Update, "x")
		if err != nil {
			t.Fatal(err)
		}
		outcome(d)
	}
	if err := server.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	if o := outcome(waits); o.State != hyperty.InDoubt || !strings.Contains(o.Reason, "broke") {
		t.Errorf("after the runtime has gone: %v", o)
	}
	close(gate)
}

// receipts is what became of messages for an application.
type receipts struct {
	mu      sync.Mutex
	codes   map[uint64]int
	failed  map[uint64]error
	changed chan struct{}
}

func (r *receipts) Settled(n uint64, _ uint32, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes[n] = code
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *receipts) Failed(n uint64, _ uint32, _ message.Message, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[n] = why
	close(r.changed)
	r.changed = make(chan struct{})
}

// await waits until so many are settled and have failed.
func (r *receipts) await(t *testing.T, settled, failed int) {
	t.Helper()
	late := limit(t).Done()
	for {
		r.mu.Lock()
		s, f, changed := len(r.codes), len(r.failed), r.changed
		r.mu.Unlock()
		if s == settled && f == failed {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d settled and %d failed, want %d and %d", s, f, settled, failed)
		}
	}
}

// A message for an application is taken when its process has taken it: not before, so that nothing is said to be
// delivered that dies with the runtime. Where the application goes without a word it is in doubt.
func TestTakenByTheApplication(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	r := &receipts{codes: map[uint64]int{}, failed: map[uint64]error{}, changed: make(chan struct{})}
	c := dial(t, hyperty.Options{Socket: socket})
	bob := register(t, c, "bob")
	got := make(chan struct{}, 64)
	bob.Handle(func(context.Context, hyperty.Received) { got <- struct{}{} })
	give := func(to message.URL, n uint64, kind message.Type) {
		t.Helper()
		m := message.Message{ID: message.NumberID(n), Type: kind, From: "hyperty://example.com/x", To: to, Body: []byte(`{"code":200}`)}
		if taken, err := h.listeners.Hand(limit(t), to, m, minibus.Receipt{By: r, Number: n}); taken != 1 || err != nil {
			t.Fatal(taken, err)
		}
	}
	for n := range uint64(20) {
		give(bob.URL(), n, []message.Type{message.Update, message.Response}[n%2])
	}
	r.await(t, 20, 0)

	// One that reads nothing.
	deaf := newHostile(t, socket, wire.Protocol)
	deaf.register(1, "deaf")
	deaf.registered()
	const url message.URL = "hyperty://example.com/deaf"
	for n := uint64(20); n < 30; n++ {
		give(url, n, []message.Type{message.Update, message.Response}[n%2])
	}
	_ = deaf.conn.Close()
	r.await(t, 20, 10)
	for n, why := range r.failed {
		var known *message.ResponseError
		if !errors.As(why, &known) || known.Code != message.CodeUnavailable && known.Code != message.CodeNotFound {
			t.Errorf("%d: %v", n, why)
		}
	}
}
