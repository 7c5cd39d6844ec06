package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestTwoApplicationsTalk(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	alice := register(t, dial(t, hyperty.Options{Socket: socket}), "alice")
	bob := register(t, dial(t, hyperty.Options{Socket: socket}), "bob")
	if bob.URL() != "hyperty://example.com/bob" || bob.Runtime() != houseURL {
		t.Fatalf("bob is %s in %s", bob.URL(), bob.Runtime())
	}
	ctx := limit(t)
	const n = 3000
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range n {
			if err := alice.Send(ctx, bob.URL(), i); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range n {
		m, err := bob.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.From != alice.URL() || m.Text() != fmt.Sprint(i) {
			t.Fatalf("message %d: %s from %s", i, m.Text(), m.From)
		}
	}
	sending.Wait()

	bob.Handle(func(ctx context.Context, m hyperty.Received) {
		if m.Type == message.Read {
			_ = m.Answer(ctx, map[string]string{"hello": m.Text()})
		} else {
			_ = m.Refuse(ctx, message.CodeForbidden, "only reads")
		}
	})
	result, err := alice.Request(ctx, bob.URL(), message.Read, "who?")
	if err != nil || string(result.Value) != `{"hello":"who?"}` {
		t.Fatalf("%s %v", result.Value, err)
	}
	var refused *message.ResponseError
	if _, err = alice.Request(ctx, bob.URL(), message.Delete, nil); !errors.As(err, &refused) || refused.Code != 403 || refused.Description != "only reads" {
		t.Fatalf("refusal: %v", err)
	}
	if _, err = alice.Request(ctx, "hyperty://example.com/nobody", message.Read, nil); !errors.As(err, &refused) || refused.Code != 404 {
		t.Fatalf("nobody: %v", err)
	}
}

func TestRegistrationIsRefused(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	c := dial(t, hyperty.Options{Socket: socket})
	register(t, c, "bob")
	var refused *message.ResponseError
	if _, err := c.Register(limit(t), hyperty.Registration{Name: "bob"}); !errors.As(err, &refused) || refused.Code != 409 {
		t.Fatalf("taken: %v", err)
	}
	if _, err := c.Register(limit(t), hyperty.Registration{Name: "bob/x"}); err == nil || !strings.Contains(err.Error(), "'/'") {
		t.Fatalf("bad name: %v", err)
	}
}

func TestCloseFlushesAndFreesTheName(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	h.slowClose = 50 * time.Millisecond
	serve(t, h, socket)
	bob := register(t, dial(t, hyperty.Options{Socket: socket}), "bob")
	for round := range 3 {
		c, err := hyperty.Dial(limit(t), hyperty.Options{Socket: socket})
		if err != nil {
			t.Fatal(err)
		}
		alice := register(t, c, "alice") // the name of the round before: waits for its end
		for i := range 200 {
			if err := alice.Send(limit(t), bob.URL(), i); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(limit(t)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for i := range 200 {
			if m, err := bob.Receive(limit(t)); err != nil || m.Text() != fmt.Sprint(i) {
				t.Fatalf("round %d, message %d: %v %v", round, i, m.Text(), err)
			}
		}
		if _, err := alice.Receive(limit(t)); !errors.Is(err, hyperty.ErrClosed) {
			t.Fatalf("receive after close: %v", err)
		}
	}
}

// A hyperty that does not receive holds up its senders, and nobody else; a busy handler's own requests are answered.
func TestSlowHypertyHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	app := dial(t, hyperty.Options{Socket: socket})
	slow, quick := register(t, app, "slow"), register(t, app, "quick")
	other := dial(t, hyperty.Options{Socket: socket})
	echo := register(t, other, "echo")
	echo.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, m.Text()) })
	flood := register(t, other, "flood")

	ctx, cancel := context.WithCancel(limit(t))
	sent := 0
	for { // until everything on the way is full
		once, done := context.WithTimeout(ctx, 300*time.Millisecond)
		err := flood.Send(once, slow.URL(), sent)
		done()
		if err != nil {
			break
		}
		if sent++; sent > 20000 {
			t.Fatal("nothing holds up the sender of a hyperty that does not receive")
		}
	}
	cancel()
	t.Logf("%d messages on the way", sent)
	// Its neighbour on the same stream goes on.
	sender := register(t, other, "sender")
	for i := range 2000 {
		if err := sender.Send(limit(t), quick.URL(), i); err != nil {
			t.Fatal(err)
		}
		if m, err := quick.Receive(limit(t)); err != nil || m.Text() != fmt.Sprint(i) {
			t.Fatalf("%v %v", m.Text(), err)
		}
	}
	for i := range sent {
		if m, err := slow.Receive(limit(t)); err != nil || m.Text() != fmt.Sprint(i) {
			t.Fatalf("message %d: %s %v", i, m.Text(), err)
		}
	}
}

func TestBusyHandlerGetsItsAnswers(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	app := dial(t, hyperty.Options{Socket: socket, Timeout: 5 * time.Second})
	busy := register(t, app, "busy")
	other := dial(t, hyperty.Options{Socket: socket})
	echo, flood := register(t, other, "echo"), register(t, other, "flood")
	echo.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, m.Text()) })
	const n = 700 // more than the inbox, less than the window
	for i := range n {
		if err := flood.Send(limit(t), busy.URL(), i); err != nil {
			t.Fatal(err)
		}
	}
	answers := make(chan string, n)
	busy.Handle(func(ctx context.Context, m hyperty.Received) {
		r, err := busy.Request(ctx, echo.URL(), message.Read, m.Text())
		answers <- fmt.Sprint(string(r.Value), err)
	})
	for i := range n {
		select {
		case got := <-answers:
			if want := fmt.Sprintf("%q<nil>", fmt.Sprint(i)); got != want {
				t.Fatalf("answer %d: %s", i, got)
			}
		case <-limit(t).Done():
			t.Fatal("no answer")
		}
	}
}

func TestQuestions(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	register(t, dial(t, hyperty.Options{Socket: socket}), "bob")
	c, err := Dial(limit(t), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st, err := c.Status(limit(t))
	if err != nil || st.Runtime != houseURL || len(st.Hyperties) != 1 || st.Hyperties[0].URL != "hyperty://example.com/bob" {
		t.Fatalf("%+v %v", st, err)
	}
	if st.Plugins == nil {
		t.Fatal("an empty list is null")
	}
	p, err := c.Path(limit(t), "hyperty://example.com/bob")
	if err != nil || p.Way != WayLocal {
		t.Fatalf("%+v %v", p, err)
	}
	if _, err = c.Path(limit(t), "hyperty://example.com/nobody"); err == nil || !strings.Contains(err.Error(), "nobody has this address") {
		t.Fatal(err)
	}
	if _, err = c.Path(limit(t), "bob"); err == nil || !strings.Contains(err.Error(), "no scheme") {
		t.Fatal(err)
	}
	r, err := c.Reload(limit(t), "quick", false)
	if err != nil || !r.Running || r.Plugin != "quick" || r.OldPID != 11 || r.NewPID != 12 || r.Drain != 0.6 {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err = c.Reload(limit(t), "broken", false); err == nil || !strings.Contains(err.Error(), "wrong checksum; the process that ran before goes on") {
		t.Fatal(err)
	}
	data, err := c.Profile(limit(t), "quick", "allocs", 0)
	if err != nil || len(data) != 6<<20 || string(data[len(data)-6:]) != "allocs" {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if _, err = c.Profile(limit(t), "foreign", "cpu", 1); err == nil || err.Error() != "the plug-in foreign takes no profiles" {
		t.Fatal(err)
	}
	if _, err = c.Profile(limit(t), "", "cpu", 61); err == nil || !strings.Contains(err.Error(), "want 1 to 60") {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(limit(t))
	var got []string
	err = c.Trace(ctx, false, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i := range 3 {
			h.watchers[0](trace.Event{Kind: trace.Post, Value: fmt.Sprint(i)})
		}
	}, func(e trace.Event, leftOut uint64) {
		if got = append(got, e.Value); len(got) == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Fatalf("%v %v", got, err)
	}
	eventually(t, "the watcher is gone", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.watchers == nil
	})
	if _, err := Dial(limit(t), socket+"x"); !errors.Is(err, ErrNotRunning) {
		t.Fatal(err)
	}
}

func TestStatusIsJSONAsDocumented(t *testing.T) {
	text, err := json.Marshal(Status{Connections: []Connection{{State: message.Live, Remote: houseURL}}})
	if err != nil || !strings.Contains(string(text), `"state":"live"`) {
		t.Fatalf("%s %v", text, err)
	}
}
