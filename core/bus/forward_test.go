package bus_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

func TestForwardToSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outside{block: make(chan struct{})}
		b := open(&o)
		defer b.Close()
		changes := home + "/registry/changes"
		stop := b.Forward(changes, away)
		b.Forward(changes, "hyperty-runtime://example.com/third")
		local := 0
		b.Listen(changes, func(context.Context, message.Message) { local++ })
		publish := func() {
			_ = b.Post(t.Context(), message.Message{Type: message.Update, From: home + "/registry", To: changes})
		}
		for range 10 { // the way out is stuck, but the publisher must not be
			publish()
		}
		synctest.Wait()
		if local != 10 {
			t.Errorf("the local listener got %d of 10", local)
		}
		close(o.block)
		synctest.Wait()
		if len(o.sent) != 20 {
			t.Errorf("%d of 20 went out", len(o.sent))
		}
		stop()
		publish()
		synctest.Wait()
		if len(o.sent) != 21 || o.ways[20].Remote != "hyperty-runtime://example.com/third" {
			t.Errorf("after one unsubscribed: %d, last to %v", len(o.sent), o.ways[len(o.ways)-1])
		}
	})
}

// A subscriber that takes nothing makes publishers wait for a moment once, and misses messages. When it takes messages again,
// the last one comes behind those that waited. What waits for it is bounded by bytes as well.
func TestForwardToWhoIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outside{block: make(chan struct{})}
		b := open(&o)
		defer b.Close()
		changes := home + "/registry/changes"
		b.Forward(changes, away)
		n := uint64(0)
		publish := func(times, size int) time.Duration {
			began := time.Now()
			for range times {
				n++
				_ = b.Post(t.Context(), message.Message{ID: message.NumberID(n), Type: message.Update, From: home + "/registry", To: changes,
					Body: []byte(`{"v":"` + strings.Repeat("x", size) + `"}`)})
			}
			synctest.Wait()
			return time.Since(began)
		}
		if took := publish(1000, 10); took > time.Second {
			t.Errorf("1000 publications took %v", took)
		}
		if took := publish(1000, 10); took > 0 {
			t.Errorf("the publisher waited again, for %v", took)
		}
		close(o.block)
		synctest.Wait()
		last := message.ID{}
		for _, m := range o.sent {
			last = m.ID
		}
		if got := len(o.sent); got < 200 || got > 600 || last != message.NumberID(2000) {
			t.Errorf("%d of 2000 came, the last was %v", got, last)
		}
		o.mu.Lock()
		o.block, o.sent = make(chan struct{}), nil
		o.mu.Unlock()
		publish(100, 100<<10)
		close(o.block)
		synctest.Wait()
		if got := len(o.sent); got > 42 || o.sent[got-1].ID != message.NumberID(2100) {
			t.Errorf("%d of 100 large ones came, the last was %v", got, o.sent[got-1].ID)
		}
		if publish(300, 10); len(o.sent) < 300 {
			t.Errorf("afterwards %d of 300 came", len(o.sent))
		}
	})
}

// Published waits until what was posted has left for each subscriber, and no longer than it may.
func TestPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outside{block: make(chan struct{})}
		b := open(&o)
		defer b.Close()
		changes := home + "/registry/changes"
		b.Published(t.Context(), changes) // nobody has subscribed
		b.Forward(changes, away)
		b.Published(t.Context(), changes) // nothing was posted
		for range 5 {
			_ = b.Post(t.Context(), message.Message{Type: message.Update, From: home + "/registry", To: changes})
		}
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if b.Published(bounded, changes); bounded.Err() == nil {
			t.Error("nothing has left yet")
		}
		time.AfterFunc(time.Second, func() { close(o.block) })
		if b.Published(t.Context(), changes); len(o.sent) != 5 {
			t.Errorf("%d of 5 have left", len(o.sent))
		}
	})
}
