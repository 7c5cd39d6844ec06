package api

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// states collects what a client says of its connection.
type states struct {
	mu  sync.Mutex
	all []bool
}

func (s *states) add(st hyperty.State) {
	s.mu.Lock()
	s.all = append(s.all, st.Connected)
	s.mu.Unlock()
}

func (s *states) last() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return 0, false
	}
	return len(s.all), s.all[len(s.all)-1]
}

func TestApplicationsSurviveTheRuntimesRestart(t *testing.T) {
	socket := socketPath(t)
	first := newHouse(t)
	server := serve(t, first, socket)
	var seen states
	c := dial(t, hyperty.Options{Socket: socket, OnState: seen.add})
	alice, bob := register(t, c, "alice"), register(t, c, "")
	doubtful := make(chan message.Message, 10)
	bob.HandleResponses(func(_ context.Context, m message.Message) { doubtful <- m })

	// One request is in flight, one message given and not confirmed.
	release := first.holdPosts()
	answer := make(chan error, 1)
	go func() {
		_, err := alice.Request(limit(t), bob.URL(), message.Read, nil)
		answer <- err
	}()
	if err := bob.Send(limit(t), alice.URL(), "in doubt"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the runtime has both", func() bool { return first.held.Load() == 2 })
	if err := server.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	release()
	var refused *message.ResponseError
	if err := <-answer; !errors.As(err, &refused) || refused.Code != 504 {
		t.Fatalf("request in flight: %v", err)
	}
	select {
	case m := <-doubtful:
		if r, err := m.Result(); err != nil || r.Code != 504 || m.From != alice.URL() {
			t.Fatalf("%+v %v", m, err)
		}
	case <-limit(t).Done():
		t.Fatal("nobody said that the message is in doubt")
	}
	eventually(t, "the client sees it", func() bool { n, up := seen.last(); return n == 2 && !up })

	// What is posted meanwhile waits.
	posted := make(chan error, 1)
	go func() { posted <- bob.Send(limit(t), bob.URL(), "waited") }()
	second := newHouse(t)
	second.unnamed = 40 // another unnamed address than before, unless the old one is asked for
	serve(t, second, socket)
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
	if m, err := bob.Receive(limit(t)); err != nil || m.Text() != "waited" {
		t.Fatalf("%s %v", m.Text(), err)
	}
	eventually(t, "the client says so", func() bool { n, up := seen.last(); return n == 3 && up })
	eventually(t, "both are registered again", func() bool {
		second.mu.Lock()
		defer second.mu.Unlock()
		return len(second.taken) == 2
	})
	if !second.taken["hyperty://example.com/alice"] || !second.taken[bob.URL()] {
		t.Fatal(second.taken)
	}
}

func TestRuntimeThatStaysAway(t *testing.T) {
	t.Parallel()
	h, socket := newHouse(t), socketPath(t)
	server := serve(t, h, socket)
	c := dial(t, hyperty.Options{Socket: socket, Wait: 300 * time.Millisecond})
	alice := register(t, c, "alice")
	if err := server.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client sees it", func() bool { return !c.State().Connected })
	began := time.Now()
	if err := alice.Send(limit(t), "hyperty://example.com/bob", 1); !errors.Is(err, hyperty.ErrDisconnected) {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond || took > 15*time.Second {
		t.Fatalf("waited %v", took)
	}
	if _, err := c.Register(limit(t), hyperty.Registration{}); !errors.Is(err, hyperty.ErrDisconnected) {
		t.Fatal(err)
	}
	if _, err := hyperty.Dial(limit(t), hyperty.Options{Socket: socket}); err == nil {
		t.Fatal("dialed nobody")
	}
}

func TestAddressIsLost(t *testing.T) {
	socket := socketPath(t)
	server := serve(t, newHouse(t), socket)
	c := dial(t, hyperty.Options{Socket: socket})
	alice := register(t, c, "alice")
	if err := server.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	serve(t, &thief{newHouse(t)}, socket)
	_, err := alice.Receive(limit(t))
	var refused *message.ResponseError
	if !errors.As(err, &refused) || refused.Code != 403 || alice.Err() == nil {
		t.Fatalf("%v", err)
	}
	if err := alice.Send(limit(t), "hyperty://example.com/bob", 1); err == nil {
		t.Fatal("sent under a lost address")
	}
}

// thief is a runtime whose Message Node gives no address back.
type thief struct{ *house }

func (*thief) Attach(context.Context, hyperty.Registration, minibus.TakingHandler) (Attachment, error) {
	return nil, &message.ResponseError{Code: message.CodeForbidden, From: houseURL, Description: "not yours any more"}
}

func TestManyRestarts(t *testing.T) {
	socket := socketPath(t)
	server := serve(t, newHouse(t), socket)
	c := dial(t, hyperty.Options{Socket: socket})
	h := register(t, c, "x")
	for range 5 {
		if err := server.Close(limit(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the client sees it", func() bool { return !c.State().Connected })
		server = serve(t, newHouse(t), socket)
		if err := h.Send(limit(t), h.URL(), "to myself"); err != nil {
			t.Fatal(err)
		}
		if m, err := h.Receive(limit(t)); err != nil || m.Text() != "to myself" {
			t.Fatal(err)
		}
	}
}
