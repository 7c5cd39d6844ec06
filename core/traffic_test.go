package core_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
)

// traffic is numbered messages between two hyperties, both ways, until it is stopped.
type traffic struct {
	t      testing.TB
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ways   [2]*way
}

// way is one direction.
type way struct {
	from, to *hyperty.Hyperty
	sent     int // read when the traffic has stopped
	got      *ledger
}

// startTraffic sends a message each way at every interval.
func startTraffic(t testing.TB, a, b *hyperty.Hyperty, interval time.Duration) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &traffic{t: t, cancel: cancel, ways: [2]*way{{from: a, to: b, got: newLedger(b)}, {from: b, to: a, got: newLedger(a)}}}
	for _, w := range f.ways {
		f.wg.Go(func() { w.run(ctx, t, interval) })
	}
	t.Cleanup(f.stop)
	return f
}

func (w *way) run(ctx context.Context, t testing.TB, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A message that was begun is sent to its end: else its number would be missing.
		sending, cancel := context.WithTimeout(context.Background(), waitTime)
		err := w.from.Send(sending, w.to.URL(), map[string]int{"n": w.sent + 1})
		cancel()
		if err != nil {
			t.Errorf("message %d from %s to %s: %v", w.sent+1, w.from.URL(), w.to.URL(), err)
			return
		}
		w.sent++
	}
}

// flows waits until both sides have received so many more messages.
func (f *traffic) flows(messages int) {
	f.t.Helper()
	var until [2]int
	for i, w := range f.ways {
		until[i] = w.got.last() + messages
	}
	for i, w := range f.ways {
		w.got.reach(f.t, until[i])
	}
}

func (f *traffic) stop() {
	f.cancel()
	f.wg.Wait()
}

// finish stops the traffic and checks that every message has come once and in order.
func (f *traffic) finish() {
	f.t.Helper()
	f.stop()
	for _, w := range f.ways {
		w.got.reach(f.t, w.sent)
		if last := w.got.last(); last != w.sent {
			f.t.Errorf("%d messages sent from %s to %s, number %d came", w.sent, w.from.URL(), w.to.URL(), last)
		}
	}
}

// last is the number of the last message that came.
func (l *ledger) last() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}
