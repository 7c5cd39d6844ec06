package minibus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// notary notes what becomes of messages.
type notary struct {
	mu     sync.Mutex
	codes  map[uint64]int
	failed map[uint64]error
	twice  bool
}

func newNotary() *notary { return &notary{codes: map[uint64]int{}, failed: map[uint64]error{}} }

func (n *notary) Settled(number uint64, _ uint32, code int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.twice = n.twice || n.codes[number] != 0 || n.failed[number] != nil
	n.codes[number] = code
}

func (n *notary) Failed(number uint64, _ uint32, _ message.Message, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.twice = n.twice || n.codes[number] != 0 || n.failed[number] != nil
	n.failed[number] = why
}

func (n *notary) state() (settled, failed int, twice bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.codes), len(n.failed), n.twice
}

// A message is taken when its handler has returned; messages in the inbox of a listener that ends have failed.
func TestReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(0)
		defer l.Close()
		gate := make(chan struct{})
		stop := l.Listen(alice, func(context.Context, message.Message) { <-gate })
		n := newNotary()
		for i := range uint64(10) {
			if taken, err := l.Hand(t.Context(), alice, message.Message{To: alice}, minibus.Receipt{By: n, Number: i}); taken != 1 || err != nil {
				t.Fatal(taken, err)
			}
		}
		synctest.Wait()
		if settled, failed, _ := n.state(); settled != 0 || failed != 0 {
			t.Fatalf("%d settled, %d failed while the handler runs", settled, failed)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		synctest.Wait()
		if settled, _, _ := n.state(); settled != 2 {
			t.Fatalf("%d settled, want 2", settled)
		}
		stop()
		close(gate)
		synctest.Wait()
		settled, failed, twice := n.state()
		if settled != 3 || failed != 7 || twice { // one was being handled
			t.Fatalf("%d settled, %d failed, twice %v", settled, failed, twice)
		}
		var gone *message.ResponseError
		if !errors.As(n.failed[9], &gone) || gone.Code != message.CodeNotFound {
			t.Errorf("why: %v", n.failed[9])
		}
		if taken, err := l.Hand(t.Context(), alice, message.Message{To: alice}, minibus.Receipt{By: n, Number: 10}); taken != 0 || err != nil {
			t.Fatal(taken, err)
		}
		if _, _, twice := n.state(); n.codes[10] != 0 || n.failed[10] != nil || twice {
			t.Error("a receipt that stayed the caller's was settled")
		}
	})
}

// Of several listeners all must be done with a message; it is taken if at least one took it.
func TestReceiptForSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(0)
		defer l.Close()
		gates := []chan struct{}{make(chan struct{}), make(chan struct{})}
		stop0 := l.Listen(alice, func(context.Context, message.Message) { <-gates[0] })
		stop1 := l.Listen(alice, func(context.Context, message.Message) { <-gates[1] })
		n := newNotary()
		for i := range uint64(3) {
			if taken, _ := l.Hand(t.Context(), alice, message.Message{To: alice}, minibus.Receipt{By: n, Number: i}); taken != 2 {
				t.Fatal(taken)
			}
		}
		gates[0] <- struct{}{}
		gates[0] <- struct{}{}
		synctest.Wait()
		if settled, _, _ := n.state(); settled != 0 {
			t.Fatalf("%d settled before both were done", settled)
		}
		stop1()
		close(gates[1])
		synctest.Wait()
		if settled, failed, _ := n.state(); settled != 2 || failed != 0 {
			t.Fatalf("%d settled, %d failed, want 2 and 0", settled, failed)
		}
		stop0()
		close(gates[0])
		synctest.Wait()
		if settled, failed, twice := n.state(); settled+failed != 3 || twice {
			t.Fatalf("%d settled, %d failed, twice %v", settled, failed, twice)
		}
	})
}

// TryHand never waits, and does nothing if there is no room.
func TestHandNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(2)
		gate := make(chan struct{})
		l.ListenTaking(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) { <-gate; r.Refused(403) })
		n := newNotary()
		called, given := 0, uint64(0)
		for range 100 {
			taken, full := l.TryHand(alice, message.Message{To: alice}, minibus.Receipt{By: n, Number: given}, func() { called++ })
			if full != (taken == 0) {
				t.Fatal(taken, full)
			}
			if taken > 0 {
				given++
			}
			synctest.Wait()
		}
		if given != 3 || called != 3 { // one is being handled, two wait
			t.Errorf("%d were taken, %d times it was said before", given, called)
		}
		if taken, full := l.TryHand(bob, message.Message{To: bob}, minibus.Receipt{}, nil); taken != 0 || full {
			t.Error("nobody listens there")
		}
		close(gate)
		synctest.Wait()
		if settled, _, _ := n.state(); settled != 3 || n.codes[0] != 403 {
			t.Errorf("%d settled, codes %v", settled, n.codes)
		}
		l.Close()
	})
}

// Messages with a cost, which their deliverer counts until they are settled, are queued beyond the limit; the limit of others
// stays the same.
func TestMessagesWithACostComeInBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(2)
		hold, handled := make(chan struct{}), 0
		l.ListenTaking(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) {
			<-hold
			handled++
			r.Taken()
		})
		m := message.Message{Type: message.Update, From: bob, To: alice}
		var ledger settled
		hand := func(r minibus.Receipt) (taken int) {
			for n, full := l.TryHand(alice, m, r, nil); !full && taken < 1000; n, full = l.TryHand(alice, m, r, nil) {
				taken += n
			}
			return taken
		}
		l.TryHand(alice, m, minibus.Receipt{}, nil)
		synctest.Wait() // it is being handled
		if n := hand(minibus.Receipt{}); n != 2 {
			t.Errorf("%d messages without a receipt were queued, want 2", n)
		}
		if n := hand(minibus.Receipt{By: &ledger, Cost: 1}); n != 2*64-2 {
			t.Errorf("%d messages with a cost were queued, want %d", n, 2*64-2)
		}
		if n := hand(minibus.Receipt{By: &ledger}); n != 0 {
			t.Errorf("%d messages with a receipt that counts nothing were queued, want none", n)
		}
		close(hold)
		synctest.Wait()
		if handled != 1+2*64 || ledger.n != 2*64-2 {
			t.Errorf("%d handled, %d settled", handled, ledger.n)
		}
		l.Close()
	})
}

// A caller that waits for a place gets one, although callers that never wait take places meanwhile.
func TestBurstsEndWhereSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(2)
		hold := make(chan struct{})
		l.ListenTaking(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) {
			<-hold
			r.Taken()
		})
		m := message.Message{Type: message.Update, From: bob, To: alice}
		for range 3 { // one is being handled, two fill the inbox
			l.TryHand(alice, m, minibus.Receipt{}, nil)
			synctest.Wait()
		}
		var ledger settled
		counted := minibus.Receipt{By: &ledger, Cost: 1}
		if n, full := l.TryHand(alice, m, counted, nil); n != 1 || full {
			t.Fatal("there is no room for one that is counted elsewhere", n, full)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := l.Deliver(ctx, alice, m)
			gone <- err
		}()
		synctest.Wait()
		if n, full := l.TryHand(alice, m, counted, nil); n != 0 || !full {
			t.Error("it passed one that waits", n, full)
		}
		cancel()
		if err := <-gone; err != context.Canceled {
			t.Error(err)
		}
		if n, full := l.TryHand(alice, m, counted, nil); n != 1 || full {
			t.Error("nobody waits any more, and there is no room", n, full)
		}
		close(hold)
		synctest.Wait()
		l.Close()
		if ledger.n != 2 {
			t.Errorf("%d settled, want 2", ledger.n)
		}
	})
}

// settled counts.
type settled struct{ n int }

func (s *settled) Settled(uint64, uint32, int)                   { s.n++ }
func (s *settled) Failed(uint64, uint32, message.Message, error) {}

// A listener that has no use for a message says nothing of it: what the other one at the address says counts, also when that goes
// before it has come to the message. Where nobody has a use for it, it is refused.
func TestPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(0)
		defer l.Close()
		pass := l.ListenTaking(alice, func(_ context.Context, m message.Message, r minibus.Receipt) { r.Passed(m) })
		n := newNotary()
		hand := func(i uint64) {
			t.Helper()
			if taken, err := l.Hand(t.Context(), alice, message.Message{To: alice}, minibus.Receipt{By: n, Number: i}); taken == 0 || err != nil {
				t.Fatal(taken, err)
			}
			synctest.Wait()
		}
		refused := func(i uint64) {
			t.Helper()
			var no *message.ResponseError
			if !errors.As(n.failed[i], &no) || no.Code != message.CodeNotFound || n.codes[i] != 0 {
				t.Errorf("%d: %v, code %d", i, n.failed[i], n.codes[i])
			}
		}
		hand(1)
		refused(1) // it is alone
		also := l.ListenTaking(alice, func(_ context.Context, m message.Message, r minibus.Receipt) { r.Passed(m) })
		hand(2)
		refused(2)
		also()
		gate := make(chan struct{})
		stop := l.Listen(alice, func(context.Context, message.Message) { <-gate })
		hand(3)
		hand(4)
		if len(n.codes) > 0 {
			t.Errorf("settled before its handler has returned: %v", n.codes)
		}
		stop()
		refused(4)
		close(gate)
		synctest.Wait()
		if n.codes[3] != message.CodeOK || n.twice {
			t.Errorf("3: code %d, %v; twice %v", n.codes[3], n.failed[3], n.twice)
		}
		pass()
	})
}
