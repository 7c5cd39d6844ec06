package minibus_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// runOf makes the messages number first to first+n-1, all to alice.
func runOf(by minibus.Taker, kind message.Type, first, n uint64) (run []minibus.Delivery) {
	for i := range n {
		run = append(run, minibus.Delivery{
			Message: message.Message{ID: message.NumberID(first + i), Type: kind, From: bob, To: alice},
			Receipt: minibus.Receipt{By: by, Number: first + i},
		})
	}
	return run
}

// TryHandRun takes as many as there is room for, in order, and does not touch the others.
func TestHandRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(100)
		defer l.Close()
		n := newNotary()
		if taken := l.TryHandRun(alice, runOf(n, message.Update, 1, 5)); taken != 0 {
			t.Errorf("%d taken where nobody listens", taken)
		}
		gate := make(chan struct{})
		var got []message.ID
		stop := l.Listen(alice, func(_ context.Context, m message.Message) {
			<-gate
			got = append(got, m.ID)
		})
		if taken := l.TryHandRun(alice, nil); taken != 0 {
			t.Errorf("%d of none taken", taken)
		}
		run := runOf(n, message.Update, 1, 150)
		if taken := l.TryHandRun(alice, run); taken != 100 {
			t.Fatalf("%d taken, there is room for 100", taken)
		}
		clear(run) // it belongs to the caller
		synctest.Wait()
		run = runOf(n, message.Update, 101, 50)
		if taken := l.TryHandRun(alice, run); taken != 50 {
			t.Errorf("%d of 50 taken while the others are being handled", taken)
		}
		close(gate)
		synctest.Wait()
		for i, id := range got {
			if id != message.NumberID(uint64(i)+1) {
				t.Fatalf("message %v came as number %d", id, i+1)
			}
		}
		if settled, failed, twice := n.state(); len(got) != 150 || settled != 150 || failed != 0 || twice {
			t.Errorf("%d handled, %d settled, %d failed, twice %v", len(got), settled, failed, twice)
		}
		var second int
		l.Listen(alice, func(context.Context, message.Message) { second++ })
		if taken := l.TryHandRun(alice, runOf(n, message.Update, 151, 20)); taken != 20 {
			t.Errorf("%d of 20 taken by two listeners", taken)
		}
		synctest.Wait()
		if settled, _, twice := n.state(); len(got) != 170 || second != 20 || settled != 170 || twice {
			t.Errorf("%d and %d handled, %d settled, twice %v", len(got), second, settled, twice)
		}
		stop()
		if taken := l.TryHandRun(alice, runOf(n, message.Update, 171, 20)); taken != 20 || len(got) != 170 {
			t.Errorf("%d of 20 taken by the other listener, %d by the one that has stopped", taken, len(got)-170)
		}
	})
}

// Messages for a listener with a queue of its own go there, wait there, and end with its bus or this one.
func TestListenThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(0)
		inner := minibus.New(minibus.Options{Inbox: 2})
		gate := make(chan struct{})
		handled := 0
		inner.Listen(alice, func(context.Context, message.Message) { <-gate; handled++ })
		stop := l.ListenThrough(alice, inner)
		n := newNotary()
		if taken := l.TryHandRun(alice, runOf(n, message.Update, 1, 5)); taken != 2 {
			t.Errorf("%d taken, there is room for 2", taken)
		}
		synctest.Wait() // they are being handled
		one := func(number uint64) (message.Message, minibus.Receipt) {
			h := runOf(n, message.Update, number, 1)[0]
			return h.Message, h.Receipt
		}
		for number := uint64(3); number < 5; number++ {
			m, r := one(number)
			if taken, full := l.TryHand(alice, m, r, nil); taken != 1 || full {
				t.Errorf("message %d: %d taken, full %v", number, taken, full)
			}
		}
		m, r := one(5)
		if taken, full := l.TryHand(alice, m, r, nil); taken != 0 || !full {
			t.Errorf("%d taken where there is no room, full %v", taken, full)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if taken, err := l.Hand(ctx, alice, m, r); taken != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d taken, %v", taken, err)
		}
		waits := make(chan int)
		hand := func(number uint64) {
			m, r := one(number)
			taken, _ := l.Hand(context.Background(), alice, m, r)
			waits <- taken
		}
		go hand(6)
		synctest.Wait()
		gate <- struct{}{}
		gate <- struct{}{}
		if taken := <-waits; taken != 1 {
			t.Errorf("who waited for room: %d taken", taken)
		}
		answer := runOf(n, message.Response, 7, 1)
		if taken := l.TryHandRun(alice, answer); taken != 1 { // its place is behind the others, since no request waits for it
			t.Errorf("a response that nobody waits for: %d taken", taken)
		}
		go hand(8)
		synctest.Wait()
		l.Close() // calls that wait in it return, though the other bus goes on
		if taken := <-waits; taken != 0 {
			t.Errorf("taken after the end: %d", taken)
		}
		close(gate)
		synctest.Wait()
		stop()
		if settled, failed, twice := n.state(); handled != 6 || settled != 6 || failed != 0 || twice {
			t.Errorf("%d handled, %d settled, %d failed, twice %v", handled, settled, failed, twice)
		}
		inner.Close()
	})
}
