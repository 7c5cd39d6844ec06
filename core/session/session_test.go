package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := 0
		p := newPair(t, Options{}, func(fromA bool, _ Path, f []byte) [][]byte {
			if fromA {
				frames++
			}
			return [][]byte{f}
		})
		p.post(t, relay, 1, 5000)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 5000)
		if frames > 500 {
			t.Errorf("%d frames for 5,000 messages: small messages are not packed", frames)
		}
		if st := p.a.Snapshot()[0]; st.Unacked != 0 || st.LastAck.IsZero() || st.Incarnation != p.b.Incarnation() || st.Path != relay {
			t.Errorf("state %+v", st)
		}
		if err := p.a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.a.Post(t.Context(), bob, relay, letter(1, 20)); !errors.Is(err, ErrClosed) {
			t.Errorf("post after Close: %v", err)
		}
		p.close(t)
	})
}

// TestCloseSettles: Close waits for what is under way in both directions.
func TestCloseSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := 0
		p := newPair(t, Options{Deliver: func(context.Context, message.URL, message.Message) {
			time.Sleep(time.Millisecond)
			got++
		}}, nil)
		p.post(t, relay, 1, 300)
		if err := p.a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.b.Close(t.Context()); err != nil || got != 300 {
			t.Errorf("%d delivered, %v", got, err)
		}
	})
}

// TestLargest: the largest message fits a frame; a larger one is refused.
func TestLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		largest := 0
		p := newPair(t, Options{RingBytes: 1000}, func(_ bool, _ Path, f []byte) [][]byte {
			largest = max(largest, len(f))
			return [][]byte{f}
		})
		defer p.close(t)
		m := letter(1, 20)
		m.Body = json.RawMessage(`{"t":"` + string(bytes.Repeat([]byte("x"), message.MaxBody-8)) + `"}`)
		long, err := message.ParseURL("hyperty://a.example/" + string(bytes.Repeat([]byte("p"), message.MaxURL-20)))
		if err != nil {
			t.Fatal(err)
		}
		m.From, m.To, m.Source = long, long, long
		for range message.MaxVia {
			m.Via = append(m.Via, long)
		}
		if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
			t.Fatal(err)
		}
		p.post(t, relay, 2, 2)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 2)
		if largest > sdk.MaxFrame {
			t.Fatalf("a frame of %d bytes, at most %d are allowed", largest, sdk.MaxFrame)
		}
		m.Body = append(m.Body, ' ')
		if err := p.a.Post(t.Context(), bob, relay, m); !errors.Is(err, message.ErrTooLarge) {
			t.Fatalf("too large: %v", err)
		}
	})
}

// TestSwitch: at a switch everything unacknowledged is sent again on the new path, which begins with a RESUME of a
// higher generation; a path that blocks is left at once.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := false
		var first *head // of the new path
		var gens [2]uint64
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, path Path, frame []byte) [][]byte {
			if !fromA {
				return [][]byte{frame}
			}
			h, f, _ := p.peek(t, fromA, frame)
			if path == direct && first == nil {
				first, gens[1] = &h, f.gen
			}
			if path == relay {
				if gens[0] = f.gen; hole {
					return nil
				}
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 10)
		time.Sleep(time.Second)
		p.sync(func() { hole = true })
		p.post(t, relay, 11, 20)
		synctest.Wait()
		p.a.UsePath(bob, direct)
		synctest.Wait() // no time passes
		wantRun(t, p.delivered(), 1, 20)
		if first == nil || first.kind != resume || gens[1] <= gens[0] {
			t.Errorf("the new path began with %+v, generations %v", first, gens)
		}
		if e := p.events(Switched); len(e) != 2 || e[1].Before != relay || e[1].Path != direct {
			t.Errorf("events %+v", e)
		}
	})
}

// TestPathFails: a Send that fails, or takes nothing, or PathDown: the session asks Route and goes on there.
func TestPathFails(t *testing.T) {
	for _, how := range []string{"error", "down", "hangs"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Options{Route: func(message.URL) (Path, bool) { return relay, true }}, nil)
				defer p.close(t)
				p.post(t, direct, 1, 3)
				time.Sleep(time.Second)
				p.mu.Lock()
				p.bad = func(ctx context.Context, _ Path) error {
					if how == "error" {
						return errors.New("gone")
					}
					<-ctx.Done()
					return ctx.Err()
				}
				p.mu.Unlock()
				start := time.Now()
				p.post(t, Path{}, 4, 6)
				synctest.Wait()
				if how == "down" {
					p.a.PathDown(direct)
				}
				for len(p.delivered()) < 6 && time.Since(start) < time.Minute {
					time.Sleep(10 * time.Millisecond)
				}
				wantRun(t, p.delivered(), 1, 6)
				limit := 50 * time.Millisecond
				if how == "hangs" {
					limit += p.a.o.Stall
				}
				if took := time.Since(start); took > limit {
					t.Errorf("took %v", took)
				}
				if e := p.events(PathLost); len(e) != 1 || e[0].Path != direct {
					t.Errorf("events %+v", e)
				}
			})
		})
	}
}

// TestStalled: a path that takes everything and carries nothing is reported.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := false
		p := newPair(t, Options{}, nil)
		p.hook = func(_ bool, path Path, f []byte) [][]byte {
			if hole && path == direct {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		p.post(t, direct, 1, 1)
		time.Sleep(10 * time.Second)
		p.sync(func() { hole = true })
		p.post(t, direct, 2, 2)
		time.Sleep(4100 * time.Millisecond)
		if e := p.events(Stalled); len(e) != 1 || e[0].Path != direct {
			t.Fatalf("events %+v", e)
		}
		p.a.UsePath(bob, relay)
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 2)
	})
}

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
		p.a.lookup(bob).mu.Lock()
		p.a.lookup(bob).lastIn = Path{}
		p.a.lookup(bob).mu.Unlock()
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

// TestBackpressure: a full ring makes Post wait, and refuse when ctx ends; waiting posters keep their order.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := true
		p := newPair(t, Options{RingBytes: 2000}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		n := uint64(0)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := p.a.Post(ctx, bob, relay, letter(n+1, 40))
			cancel()
			if errors.Is(err, ErrBackpressure) {
				break
			} else if err != nil || n > 100 {
				t.Fatal(n, err)
			}
			n++
		}
		if st := p.a.Snapshot()[0]; st.RingBytes > 2000 || st.Unacked != int(n) {
			t.Fatalf("state %+v after %d", st, n)
		}
		for i := n + 1; i <= n+50; i++ {
			go p.a.Post(t.Context(), bob, relay, letter(i, 40))
			synctest.Wait()
		}
		p.sync(func() { deaf = false })
		time.Sleep(10 * time.Second)
		wantRun(t, p.delivered(), 1, n+50)
	})
}

// TestTotal: the rings of all remote runtimes together are bounded, and room in one lets posters to another go on.
func TestTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{TotalBytes: 2000}, nil)
		defer p.close(t)
		var deaf atomic.Bool
		deaf.Store(true)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if deaf.Load() {
				return nil
			}
			return [][]byte{f}
		}
		for n := uint64(1); p.a.sending.Load() < 1800; n++ {
			p.post(t, relay, n, n)
		}
		const carol message.URL = "hyperty-runtime://c.example/carol"
		done := make(chan error, 1)
		go func() { done <- p.a.Post(t.Context(), carol, relay, letter(1, 200)) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("went over the total")
		}
		deaf.Store(false)
		time.Sleep(time.Second)
		if len(done) != 1 || <-done != nil {
			t.Fatal("still waits though there is room")
		}
		p.a.lookup(carol).mu.Lock()
		p.a.lookup(carol).giveUp(2, Expired, "test")
		p.a.lookup(carol).mu.Unlock()
	})
}

// TestSlowListener: a listener that takes its time bounds the receiver's memory and in the end makes Post wait;
// nothing is lost.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Int64
		gate := make(chan struct{})
		o := Options{InboxBytes: 8 << 10, RingBytes: 8 << 10, FrameBytes: 1 << 10, TTL: time.Hour,
			Deliver: func(context.Context, message.URL, message.Message) { <-gate; got.Add(1) }}
		p := newPair(t, o, nil)
		posted := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := p.a.Post(ctx, bob, relay, letter(uint64(posted)+1, 40))
			cancel()
			if err != nil {
				break
			}
			posted++
		}
		st := p.b.Snapshot()[0]
		if limit := o.InboxBytes + o.FrameBytes*2; st.InboxBytes > limit || st.InboxBytes < o.InboxBytes/2 {
			t.Errorf("inbox of %d bytes, want about %d", st.InboxBytes, o.InboxBytes)
		}
		time.Sleep(20 * time.Second)
		close(gate)
		start := time.Now()
		for int(got.Load()) < posted && time.Since(start) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if int(got.Load()) != posted || time.Since(start) > 100*time.Millisecond {
			t.Errorf("%d of %d delivered after %v", got.Load(), posted, time.Since(start))
		}
		p.close(t)
	})
}

// TestIdle: a session that has nothing to do has no goroutines and no buffers, and wakes up again.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		defer p.close(t)
		p.post(t, relay, 1, 1000)
		time.Sleep(10 * time.Second)
		for _, s := range []*Sessions{p.a, p.b} {
			for _, one := range s.existing() {
				one.mu.Lock()
				if one.pumping || one.delivering || one.ring.bytes != nil || one.ring.entries != nil || one.inbox.parcels != nil {
					t.Errorf("idle session: pumping %v, delivering %v, ring %d", one.pumping, one.delivering, len(one.ring.bytes))
				}
				one.mu.Unlock()
			}
		}
		p.post(t, relay, 1001, 1002)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 1002)
	})
}

// TestNobodyThere: a session that never paired is forgotten when its messages have expired.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, func(bool, Path, []byte) [][]byte { return nil })
		defer p.close(t)
		p.post(t, relay, 1, 3)
		time.Sleep(time.Minute)
		if e := p.events(Expired); len(e) != 1 || e[0].MayHaveArrived || len(e[0].IDs) != 3 {
			t.Errorf("events %+v", e)
		}
		if st := p.a.Snapshot(); len(st) != 0 {
			t.Errorf("still there: %+v", st)
		}
	})
}

// TestTailLoss: the last frames of a burst are lost: a probe finds it.
func TestTailLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lose := 0
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, f []byte) [][]byte {
			if fromA && lose > 0 {
				lose--
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		p.post(t, relay, 1, 1)
		time.Sleep(time.Second)
		p.sync(func() { lose = 1 })
		p.post(t, relay, 2, 2)
		time.Sleep(260 * time.Millisecond)
		wantRun(t, p.delivered(), 1, 2)
	})
}

// TestLimits: what may not be, is refused with a reason.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{Sessions: 1}, nil)
		defer p.close(t)
		p.post(t, relay, 1, 1)
		if err := p.a.Post(t.Context(), "hyperty-runtime://c.example/carol", relay, letter(1, 20)); !errors.Is(err, ErrTooMany) {
			t.Errorf("second session: %v", err)
		}
		if err := p.a.Post(t.Context(), message.URL(strings.TrimPrefix(string(alice), "hyperty-")), relay, letter(1, 20)); !errors.Is(err, ErrSelf) {
			t.Errorf("to itself: %v", err)
		}
		if err := p.a.Post(t.Context(), bob, relay, message.Message{}); !errors.Is(err, message.ErrMalformed) {
			t.Errorf("empty message: %v", err)
		}
	})
}

// TestFollow: when the remote runtime has left the direct path because its end of it is dead, this side leaves it too,
// long before it would notice by itself. A remote runtime that is back at once has not left.
func TestFollow(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dead := false
			p := newPair(t, Options{}, nil)
			p.hook = func(_ bool, path Path, f []byte) [][]byte {
				if dead && path == direct {
					return nil
				}
				return [][]byte{f}
			}
			defer p.close(t)
			p.post(t, relay, 1, 10)
			time.Sleep(time.Second)
			p.a.UsePath(bob, direct)
			p.b.UsePath(alice, direct)
			time.Sleep(time.Second)
			if e := p.events(Left); len(e) != 0 {
				t.Fatalf("on the way to the direct path: %+v", e)
			}
			if !back {
				p.sync(func() { dead = true })
			}
			p.b.UsePath(alice, relay)
			if back {
				time.Sleep(10 * time.Millisecond)
				p.b.UsePath(alice, direct)
			}
			p.post(t, direct, 11, 20)
			time.Sleep(100 * time.Millisecond)
			wantRun(t, p.delivered(), 1, 20)
			left := 0
			for _, e := range p.events(Left) {
				if e.Remote == bob && e.Path == direct {
					left++
				}
			}
			if back && left != 0 || !back && left != 1 {
				t.Errorf("back %v: %d Left events", back, left)
			}
		})
	}
}

// TestFollowOutOfABlockedPath: the other side is followed also while the dead path takes no more frames.
func TestFollowOutOfABlockedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		defer p.close(t)
		p.post(t, relay, 1, 10)
		time.Sleep(time.Second)
		p.a.UsePath(bob, direct)
		p.b.UsePath(alice, direct)
		time.Sleep(time.Second)
		p.mu.Lock()
		p.bad = func(ctx context.Context, _ Path) error {
			<-ctx.Done()
			return ctx.Err()
		}
		p.mu.Unlock()
		p.post(t, direct, 11, 20)
		time.Sleep(time.Millisecond)
		p.b.UsePath(alice, relay)
		time.Sleep(100 * time.Millisecond)
		wantRun(t, p.delivered(), 1, 20)
	})
}

// TestStalledWhileBlocked: a path that swallows frames, and after a while takes no more, is left when nothing has been
// acknowledged for Options.Stall, not so long after it took the last.
func TestStalledWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		defer p.close(t)
		p.post(t, direct, 1, 10)
		time.Sleep(time.Second)
		began := time.Now()
		p.mu.Lock()
		p.bad = func(ctx context.Context, _ Path) error {
			if time.Since(began) < 2*time.Second {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		p.mu.Unlock()
		for n := uint64(11); n <= 30; n++ {
			p.post(t, direct, n, n)
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond) // 4.2 s
		if e := p.events(Stalled); len(e) != 1 {
			t.Errorf("events %+v", e)
		}
		p.a.UsePath(bob, relay)
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 30)
	})
}

// TestReturned: when the relay is back after it was away for long, what it lost is sent again at once in both
// directions, not when the next probe is due.
func TestReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := false
		p := newPair(t, Options{}, nil)
		p.hook = func(_ bool, _ Path, f []byte) [][]byte {
			if away {
				return nil
			}
			return [][]byte{f}
		}
		defer p.close(t)
		p.post(t, relay, 1, 10)
		time.Sleep(time.Second)
		p.sync(func() { away = true })
		p.post(t, relay, 11, 20)
		time.Sleep(10 * time.Second) // probes are 2 s apart now
		p.sync(func() { away = false })
		p.b.Returned(relay.Stub) // the other side asks
		time.Sleep(10 * time.Millisecond)
		wantRun(t, p.delivered(), 1, 20)
		p.sync(func() { away = true })
		p.post(t, relay, 21, 30)
		time.Sleep(10 * time.Second)
		p.sync(func() { away = false })
		p.a.Returned(relay.Stub)
		time.Sleep(10 * time.Millisecond)
		wantRun(t, p.delivered(), 1, 30)
	})
}
