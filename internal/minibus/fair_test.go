package minibus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

const mallory message.URL = "hyperty://a.example/mallory"

// counted is a receipt as sessions make it.
func counted(source uint32, by minibus.Taker) minibus.Receipt {
	return minibus.Receipt{By: by, Cost: 100, Source: source}
}

// A session that has filled a listener's inbox, and waits for more places in it, does not make another session's messages, or
// those of this runtime, wait for all of that.
func TestInboxIsFair(t *testing.T) {
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := minibus.NewListeners(0)
			gate := make(chan struct{})
			var places []int
			n := 0
			l.ListenTaking(alice, func(_ context.Context, m message.Message, r minibus.Receipt) {
				<-gate
				if n++; m.From == bob {
					places = append(places, n)
				}
				r.Taken()
			})
			hand := func(from message.URL, r minibus.Receipt) bool {
				_, full := l.TryHand(alice, message.Message{Type: message.Update, From: from, To: alice}, r, nil)
				return !full
			}
			filled := 0
			for range 2 { // the first ones are being handled then
				for hand(mallory, counted(1, new(settled))) {
					filled++
				}
				synctest.Wait()
			}
			if want := 64 * minibus.DefaultInbox; filled < want {
				t.Errorf("places for %d messages of one session, want %d", filled, want)
			}
			if waits {
				go l.Hand(context.Background(), alice, message.Message{Type: message.Update, From: mallory, To: alice}, counted(1, new(settled)))
				synctest.Wait()
			}
			if !hand(bob, counted(2, new(settled))) {
				t.Error("no place for a message of another session")
			}
			if !hand(bob, minibus.Receipt{}) {
				t.Error("no place for a message of this runtime")
			}
			if hand(mallory, counted(1, new(settled))) {
				t.Error("a place for one message more of the session that has filled the inbox")
			}
			close(gate)
			synctest.Wait()
			if len(places) != 2 || places[0] > 300 || places[1] > 300 {
				t.Errorf("bob's messages were number %v of %d", places, n)
			}
			l.Close()
		})
	}
}

// However many sessions send to one listener, what waits there is bounded, and when it stops each receipt is settled once.
func TestInboxIsBoundedInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 16
		l := minibus.NewListeners(limit)
		gate := make(chan struct{})
		stop := l.ListenTaking(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) { <-gate; r.Taken() })
		n, given := newNotary(), uint64(1)
		l.TryHand(alice, message.Message{Type: message.Update, From: bob, To: alice}, counted(1, n), nil)
		synctest.Wait() // it is being handled
		for source := range uint32(1000) {
			for taken := 1; taken > 0; {
				r := minibus.Receipt{By: n, Number: given, Source: source, Cost: min(source, 1)}
				if taken, _ = l.TryHand(alice, message.Message{Type: message.Update, From: bob, To: alice}, r, nil); taken > 0 {
					given++
				}
			}
		}
		most := uint64(1 + 64*limit + 64*limit/2 + limit)
		if given < 64*limit || given > most {
			t.Errorf("%d messages wait, want %d to %d", given, 64*limit, most)
		}
		gone := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		for range 10 {
			go func() {
				taken, err := l.Hand(ctx, alice, message.Message{Type: message.Update, From: bob, To: alice}, counted(7, n))
				if taken > 0 {
					err = errors.New("taken")
				}
				gone <- err
			}()
		}
		synctest.Wait()
		stop()
		for range 10 {
			if err := <-gone; err != nil {
				t.Error(err)
			}
		}
		cancel()
		close(gate)
		synctest.Wait()
		if settled, failed, twice := n.state(); uint64(settled+failed) != given || settled != 1 || twice {
			t.Errorf("%d settled and %d failed of %d, twice %v", settled, failed, given, twice)
		}
		l.Close()
	})
}

// ordered checks the order of the handled messages: the numbers of each source's messages grow.
type ordered struct {
	last    map[int]uint64
	handled int
	wrong   int
}

// handle takes a message whose body is as long as its source's number: receipts for several listeners have no number.
func (o *ordered) handle(m message.Message) {
	source := len(m.Body)
	number, err := strconv.ParseUint(m.ID.String(), 10, 64)
	if err != nil || number <= o.last[source] {
		o.wrong++
	}
	o.last[source] = number
	o.handled++
}

// The order of each session's messages is kept, and none is lost or handled twice, however they are passed: in runs, one by
// one, with waiting or without, and while another listener of the address comes and goes.
func TestOrderOfEachSession(t *testing.T) {
	const sources, each = 150, 600
	l := minibus.NewListeners(4)
	got := ordered{last: map[int]uint64{}}
	all := make(chan struct{})
	l.ListenTaking(alice, func(_ context.Context, m message.Message, r minibus.Receipt) {
		r.Taken()
		if got.handle(m); got.handled == sources*each {
			close(all)
		}
	})
	var ended atomic.Bool
	var others, senders sync.WaitGroup
	others.Go(func() {
		for !ended.Load() {
			stop := l.ListenTaking(alice, func(_ context.Context, _ message.Message, r minibus.Receipt) { r.Taken() })
			stop()
		}
	})
	notaries := make([]*notary, sources)
	for source := range uint32(sources) {
		by := newNotary()
		notaries[source] = by
		senders.Go(func() { sendAnyhow(t, l, source, by, each) })
	}
	senders.Wait()
	ended.Store(true)
	others.Wait()
	<-all
	l.Close()
	if got.wrong > 0 || got.handled != sources*each {
		t.Errorf("%d of %d messages handled, %d out of order", got.handled, sources*each, got.wrong)
	}
	for source, by := range notaries {
		if settled, failed, twice := by.state(); settled != each || failed != 0 || twice {
			t.Errorf("session %d: %d settled, %d failed, twice %v", source, settled, failed, twice)
		}
	}
}

// sendAnyhow passes messages number 1 to n of a source, by all calls there are.
func sendAnyhow(t *testing.T, l *minibus.Listeners, source uint32, by minibus.Taker, n uint64) {
	r := rand.New(rand.NewPCG(uint64(source), 1))
	body := make([]byte, source)
	for next := uint64(1); next <= n; {
		var run []minibus.Delivery
		for number := next; number <= min(n, next+r.Uint64N(40)); number++ {
			one := minibus.Delivery{Receipt: counted(source, by),
				Message: message.Message{ID: message.NumberID(number), Type: message.Update, From: bob, To: alice, Body: body}}
			one.Receipt.Number = number
			run = append(run, one)
		}
		taken := 0
		switch one := &run[0]; r.IntN(3) {
		case 0:
			taken = l.TryHandRun(alice, run)
		case 1:
			if listeners, _ := l.TryHand(alice, one.Message, one.Receipt, nil); listeners > 0 {
				taken = 1
			}
		default:
			listeners, err := l.Hand(context.Background(), alice, one.Message, one.Receipt)
			if taken = 1; listeners == 0 || err != nil {
				t.Errorf("message %d of session %d: %d listeners, %v", next, source, listeners, err)
			}
		}
		next += uint64(taken)
	}
}

// BenchmarkSessions is messages of sessions in turn, up to the handler.
func BenchmarkSessions(b *testing.B) {
	for _, sessions := range []uint32{1, 2, 100} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			l := minibus.NewListeners(0)
			defer l.Close()
			l.ListenTaking(alice, func(context.Context, message.Message, minibus.Receipt) {})
			m := message.Message{ID: message.NumberID(1), Type: message.Update, From: bob, To: alice, Body: []byte(`{"value":1}`)}
			b.ReportAllocs()
			for source := uint32(0); b.Loop(); source = (source + 1) % sessions {
				r := minibus.Receipt{Cost: 100, Source: source}
				if _, full := l.TryHand(alice, m, r, nil); full {
					_, _ = l.Hand(context.Background(), alice, m, r)
				}
			}
		})
	}
}
