package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// numbered is the body of each message that the applications send.
type numbered struct {
	N int `json:"n"`
}

// ledger is what one application received: every number of the other's should come once, in order.
type ledger struct {
	mu         sync.Mutex
	expected   int // how many are sent to it
	seen       []bool
	last       int
	received   int
	duplicated int
	outOfOrder int
	refused    []string
	complete   chan struct{}
}

func newLedger(expected int) *ledger {
	return &ledger{expected: expected, seen: make([]bool, expected+1), complete: make(chan struct{})}
}

// take notes one message.
func (l *ledger) take(_ context.Context, m hyperty.Received) {
	var v numbered
	err := m.Decode(&v)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || v.N < 1 || v.N > l.expected {
		l.note("unexpected message from %s: %.80s", m.From, m.Body)
		return
	}
	if l.seen[v.N] {
		l.duplicated++
		return
	}
	if v.N < l.last {
		l.outOfOrder++
	}
	l.seen[v.N], l.last = true, max(v.N, l.last)
	if l.received++; l.received == l.expected {
		close(l.complete)
	}
}

// refuse notes a message that came back.
func (l *ledger) refuse(_ context.Context, m message.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note("%s answered: %.200s", m.From, m.Body)
}

// note keeps the first few things that should not have come. mu is held.
func (l *ledger) note(format string, args ...any) {
	if len(l.refused) < 10 {
		l.refused = append(l.refused, fmt.Sprintf(format, args...))
	}
}

// send sends the numbers 1 to n to the address, spread evenly over the duration.
func send(ctx context.Context, h *hyperty.Hyperty, to message.URL, n int, over time.Duration) error {
	started := time.Now()
	for i := range n {
		if wait := time.Until(started.Add(over * time.Duration(i) / time.Duration(n))); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := h.Send(ctx, to, numbered{N: i + 1}); err != nil {
			return fmt.Errorf("message %d to %s: %w", i+1, to, err)
		}
	}
	return nil
}
