package api

import (
	"context"
	"sync"
	"testing"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A remote runtime that sends an application more than it handles does not have another one's message wait for all of that:
// sources take turns in the inbox here, and what is behind it is short: the window, and the inbox in the application.
func TestRemoteRuntimesTakeTurnsAtAnApplication(t *testing.T) {
	t.Parallel()
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	alice := register(t, dial(t, hyperty.Options{Socket: socket}), "alice")
	const mallory, bob message.URL = "hyperty://example.com/mallory", "hyperty://example.com/bob"
	gate, came := make(chan struct{}), make(chan int, 1)
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	n := 0
	alice.Handle(func(_ context.Context, m hyperty.Received) {
		<-gate
		if n++; m.From == bob {
			came <- n
		}
	})
	by := &receipts{codes: map[uint64]int{}, failed: map[uint64]error{}, changed: make(chan struct{})}
	number := uint64(0)
	hand := func(from message.URL, source uint32) bool {
		number++
		m := message.Message{ID: message.NumberID(number), Type: message.Update, From: from, To: alice.URL()}
		_, full := h.listeners.TryHand(alice.URL(), m, minibus.Receipt{By: by, Number: number, Cost: 100, Source: source}, nil)
		return !full
	}
	for hand(mallory, 1) {
	}
	if !hand(bob, 2) {
		t.Fatalf("no place for bob's message after %d of another runtime", number-2)
	}
	open()
	select {
	case place := <-came:
		if most := wire.Window + 3*minibus.DefaultInbox; place > most {
			t.Errorf("bob's message was number %d of %d, want at most %d", place, number, most)
		}
	case <-limit(t).Done():
		t.Error("bob's message has not come")
	}
}
