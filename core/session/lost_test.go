package session

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestReset: when the remote runtime lives again, what its last life was sent is in doubt and not sent again; what was
// not sent yet is.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := false
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, f []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{f}
		}
		p.post(t, relay, 1, 2)
		time.Sleep(time.Second)
		p.sync(func() { deaf = true })
		p.post(t, relay, 3, 5)
		time.Sleep(100 * time.Millisecond)
		p.a.PathDown(relay)
		time.Sleep(10 * time.Millisecond)
		p.post(t, Path{}, 6, 8) // no path: not sent
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.restart(&p.b, ctx)
		p.sync(func() { deaf = false })
		if err := p.b.Post(t.Context(), alice, direct, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		e := p.events(Reset)
		if len(e) != 1 || fmt.Sprint(e[0].IDs) != "[3 4 5]" || !e[0].MayHaveArrived || e[0].Incarnation != p.b.Incarnation() {
			t.Fatalf("events %+v", e)
		}
		if got := fmt.Sprint(p.delivered()); got != "[1 2 6 7 8]" {
			t.Fatalf("delivered %s", got)
		}
		p.close(t)
	})
}

// TestExpired: what is not acknowledged in time is reported, and the order goes on behind it.
func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := false
		p := newPair(t, Options{TTL: 3 * time.Second}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		p.post(t, relay, 1, 2)
		time.Sleep(time.Second)
		p.sync(func() { deaf = true })
		p.post(t, relay, 3, 4)
		time.Sleep(time.Second)
		p.a.PathDown(relay)
		p.post(t, Path{}, 5, 5)
		time.Sleep(2500 * time.Millisecond)
		e := p.events(Expired)
		if len(e) != 1 || fmt.Sprint(e[0].IDs) != "[3 4]" || !e[0].MayHaveArrived || len(e[0].Messages) != 2 ||
			e[0].Messages[1].ID != e[0].IDs[1] || e[0].Messages[0].To != letter(3, 1).To || e[0].Messages[0].Body != nil {
			t.Fatalf("events %+v", e)
		}
		p.a.lookup(bob).lock()
		p.a.lookup(bob).m.paths.Came(Path{})
		p.a.lookup(bob).unlock()
		time.Sleep(time.Second)
		e = p.events(Expired)
		if len(e) != 2 || fmt.Sprint(e[1].IDs) != "[5]" || e[1].MayHaveArrived {
			t.Fatalf("events %+v", e)
		}
		p.sync(func() { deaf = false })
		p.post(t, direct, 6, 7)
		time.Sleep(time.Second)
		if got := fmt.Sprint(p.delivered()); got != "[1 2 6 7]" {
			t.Fatalf("delivered %s", got)
		}
	})
}

// What is posted while the pump sends has its time to live, too: from when the pump has sent, at the latest.
func TestExpiryOfWhatIsPostedWhileThePumpSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 10 * time.Second
		p := newPair(t, Options{TTL: ttl}, nil)
		p.post(t, direct, 1, 1)
		time.Sleep(time.Second)
		p.mu.Lock()
		p.bad = func(ctx context.Context, _ Path) error { // takes its time, and brings nothing there
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			return nil
		}
		p.mu.Unlock()
		start := time.Now()
		p.post(t, direct, 2, 2) // with the pump idle
		time.Sleep(time.Second)
		one := p.end(true)
		one.lock()
		if !one.m.turn.Sending() {
			t.Error("the pump does not send")
		}
		one.unlock()
		p.post(t, direct, 3, 50)
		expired := map[uint64]time.Duration{}
		for len(expired) < 49 && time.Since(start) < time.Minute {
			time.Sleep(100 * time.Millisecond)
			for _, e := range p.events(Expired) {
				for _, m := range e.Messages {
					if _, known := expired[number(m)]; !known {
						expired[number(m)] = time.Since(start)
					}
				}
			}
		}
		for n := uint64(2); n <= 50; n++ {
			first, last := ttl, ttl+3*time.Second // a pump that sends looks when it has
			if n > 2 {
				first, last = first+time.Second, last+time.Second
			}
			if at := expired[n]; at < first || at > last {
				t.Errorf("message %d expired after %v, want %v to %v", n, at, first, last)
			}
		}
		p.mu.Lock()
		p.bad = nil
		p.mu.Unlock()
		p.close(t)
	})
}
