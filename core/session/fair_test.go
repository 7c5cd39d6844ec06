package session

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// One runtime that sends a listener more than it can handle does not have the message of another wait for all of that.
func TestSessionsTakeTurnsAtAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStar(t, Options{})
		home := bus.New(bus.Options{Runtime: alice})
		defer home.Close()
		defer st.close()
		st.hub.o.Acceptor = home
		const to, bob message.URL = "hyperty://a.example/inbox", "hyperty://tips.example/bob"
		handled := 0
		var places []int
		gate := make(chan struct{})
		home.Listen(to, func(_ context.Context, m message.Message) {
			<-gate
			if handled++; m.From == bob {
				places = append(places, handled)
			}
		})
		mallory, other := st.tip(), st.tip()
		for { // until it is held back
			once, cancel := context.WithTimeout(t.Context(), time.Second)
			m := letter(1, 20)
			m.To = to
			err := mallory.Post(once, alice, relay, m)
			cancel()
			if errors.Is(err, message.ErrBackpressure) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		m := letter(1, 20)
		m.From, m.To = bob, to
		if err := other.Post(t.Context(), alice, relay, m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		close(gate)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if handled < minibus.DefaultInbox*16 || len(places) != 1 || places[0] > 2*minibus.DefaultInbox {
			t.Errorf("bob's message was number %v of %d", places, handled)
		}
	})
}

// What a runtime sent before it started again is handled before what it sends afterwards.
func TestOrderOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := bus.New(bus.Options{Runtime: bob})
		defer home.Close()
		o := Options{TTL: time.Hour}
		o.Acceptor = home
		p := newPair(t, o, nil)
		defer p.close(t)
		var got []uint64
		gate := make(chan struct{})
		home.Listen("hyperty://b.example/y", func(_ context.Context, m message.Message) {
			<-gate
			got = append(got, number(m))
		})
		p.post(t, relay, 1, 1000)
		time.Sleep(time.Second)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		p.restart(&p.a, dead)
		p.post(t, relay, 1001, 2000)
		time.Sleep(time.Second)
		close(gate)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(got) != 2000 || !slices.IsSorted(got) {
			t.Errorf("%d messages, in order: %v", len(got), slices.IsSorted(got))
		}
	})
}
