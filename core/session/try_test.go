package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// What is tried and would have to wait has changed nothing, passes nobody who waits, and arrives in its place when it is posted.
func TestTryPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Bool
		deaf.Store(true)
		p := newPair(t, Options{RingBytes: 2000}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf.Load() {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		line, err := p.a.Line(bob, relay)
		if err != nil {
			t.Fatal(err)
		}
		tries := []func(m message.Message) error{
			func(m message.Message) error { return p.a.TryPost(bob, relay, m) },
			func(m message.Message) error { return p.a.TryPostTracked(bob, relay, m) },
			func(m message.Message) error { return line.TryPost(&m) },
		}
		n := uint64(0)
		for ; n < 100; n++ {
			if err := tries[n%3](letter(n+1, 40)); errors.Is(err, message.ErrWouldBlock) {
				break
			} else if err != nil {
				t.Fatal(n, err)
			}
		}
		before, sending := p.a.Snapshot()[0], p.a.memory.Sending()
		refused := func(when string) {
			t.Helper()
			for i, try := range tries {
				if err := try(letter(n+1, 40)); err != message.ErrWouldBlock {
					t.Errorf("%s, way %d: %v", when, i, err)
				}
			}
		}
		refused("while the ring is full")
		if after := p.a.Snapshot()[0]; after.Unacked != before.Unacked || after.RingBytes != before.RingBytes || after.Relayed != before.Relayed || p.a.memory.Sending() != sending {
			t.Errorf("a message that was only tried has changed %+v to %+v", before, after)
		}
		done := make(chan error, 1)
		go func() { done <- p.a.Post(t.Context(), bob, relay, letter(n+1, 40)) }()
		synctest.Wait()
		refused("while another one waits")
		deaf.Store(false)
		time.Sleep(10 * time.Second)
		if len(done) != 1 || <-done != nil {
			t.Fatal("the one that waited was not posted")
		}
		if err := tries[2](letter(n+2, 40)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, n+2)
	})
}

// A session that is made for a message which finds no room is not kept when nobody posts the message.
func TestNoRoomNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{TTL: time.Hour, Totals: Totals{Bytes: 2000}}, nil)
		defer p.close(t)
		p.hook = func(bool, Path, []byte) [][]byte { return nil }
		for n := uint64(1); p.a.memory.Sending() < 1800; n++ {
			p.post(t, relay, n, n)
		}
		const carol message.URL = "hyperty-runtime://c.example/carol"
		gone := func(what string) {
			t.Helper()
			time.Sleep(time.Minute)
			if p.a.find(carol) != nil {
				t.Errorf("%s: a session without a message and without a peer is kept", what)
			}
		}
		if err := p.a.TryPost(carol, relay, letter(1, 200)); err != message.ErrWouldBlock {
			t.Fatal(err)
		}
		gone("tried")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.a.Post(ctx, carol, relay, letter(1, 200)); !errors.Is(err, ErrBackpressure) {
			t.Fatal(err)
		}
		gone("waited")
	})
}
