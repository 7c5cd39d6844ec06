package session

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// TestAcknowledgementCheck: an acknowledgement of what was never sent frees nothing.
func TestAcknowledgementCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut bool
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, frame []byte) [][]byte {
			if cut {
				return nil
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 3)
		synctest.Wait()
		p.sync(func() { cut = true })
		p.post(t, relay, 4, 5)
		synctest.Wait()
		st := p.a.Snapshot()[0]
		for _, f := range []wire.Fields{
			{Gen: 1 << 20, Seen: st.Generation, Next: 7, Base: 1, First: 1},
			{Gen: 1 << 20, Seen: st.Generation, Next: wire.MaxNumber, Base: 1, First: 1},
			{Gen: 1 << 20, Seen: st.Generation + 1, Next: 6, Base: 1, First: 1},
			{Gen: 1 << 20, Seen: st.Generation, Next: 6, Base: 1, First: 1, Epoch: 1},
		} {
			p.a.Receive(t.Context(), bob, relay, p.end(false).sealNext(wire.Ack, f, nil))
			after := p.a.Snapshot()[0]
			if st.Dropped++; after.Unacked != st.Unacked || after.Dropped != st.Dropped {
				panic(fmt.Sprintf("after the acknowledgement %+v: %+v, before: %+v", f, after, st)) // the ring is broken: no Close
			}
		}
		p.sync(func() { cut = false })
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 5)
	})
}

// TestDuplicateCheck: messages that come again, sent again by their sender or replayed by somebody, are dropped,
// acknowledged in the first case, and disturb nothing.
func TestDuplicateCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old [][]byte
		p := newPair(t, Options{FrameBytes: 200}, nil)
		p.hook = func(fromA bool, _ Path, frame []byte) [][]byte {
			if fromA {
				old = append(old, append([]byte(nil), frame...))
				return [][]byte{frame, frame, p.again(t, fromA, frame)}
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 100)
		time.Sleep(time.Second)
		var again [][]byte
		p.sync(func() { again = append(again, old...) })
		for _, f := range again {
			p.b.Receive(t.Context(), alice, relay, p.again(t, true, f))
			p.b.Receive(t.Context(), alice, relay, append([]byte(nil), f...))
		}
		p.post(t, relay, 101, 200)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 200)
		if st := p.a.Snapshot()[0]; st.Rewinds != 0 || st.Unacked != 0 {
			t.Fatalf("duplicates made the sender go back: %+v", st)
		}
	})
}

// TestGenerationCheckOfRequests: a request to resume that comes many times, or late, makes the sender go back once.
func TestGenerationCheckOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lose, deaf, requests, carried := false, false, [][]byte(nil), 0
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, frame []byte) [][]byte {
			h, f, messages := p.peek(t, fromA, frame)
			if !fromA && deaf {
				return nil
			}
			if fromA && messages > 0 {
				carried++
			}
			if fromA && lose && messages > 0 {
				lose = false
				return nil
			}
			if !fromA && h.Kind == wire.Resume && f.Next == 2 {
				requests = append(requests, append([]byte(nil), frame...))
				return [][]byte{frame, p.again(t, fromA, frame), p.again(t, fromA, frame)}
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 1)
		time.Sleep(time.Second)
		p.sync(func() { lose = true })
		p.post(t, relay, 2, 2)
		synctest.Wait()
		p.post(t, relay, 3, 3)
		time.Sleep(100 * time.Millisecond)
		wantRun(t, p.delivered(), 1, 3)
		var request []byte
		p.sync(func() {
			if len(requests) == 0 {
				t.Fatal("the gap made nobody ask to resume")
			}
			request = requests[0]
		})
		var before int
		p.sync(func() { deaf = true }) // 4 stays without acknowledgement
		p.post(t, relay, 4, 4)
		synctest.Wait()
		p.sync(func() { before = carried })
		for range 5 {
			p.a.Receive(t.Context(), bob, relay, p.again(t, false, request))
			synctest.Wait()
		}
		p.sync(func() {
			if carried != before {
				t.Errorf("old requests made a send %d times again", carried-before)
			}
			deaf = false
		})
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 4)
		if st := p.a.Snapshot()[0]; st.Rewinds != 1 {
			t.Fatalf("went back %d times for one gap", st.Rewinds)
		}
	})
}

// TestGenerationCheckOfData: what was sent before a switch of path and comes after it is worth nothing: no gap is seen
// in it, and the new path is not left for it.
func TestGenerationCheckOfData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late [][]byte
		hold, requests := false, 0
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, path Path, frame []byte) [][]byte {
			h, _, messages := p.peek(t, fromA, frame)
			if !fromA && h.Kind == wire.Resume {
				requests++
			}
			if fromA && hold && messages > 0 {
				if path == relay {
					late = append(late, frame)
				}
				return nil
			}
			return [][]byte{frame}
		}
		defer p.close(t)
		p.post(t, relay, 1, 1)
		time.Sleep(time.Second)
		p.sync(func() { hold = true })
		p.post(t, relay, 2, 2)
		synctest.Wait()
		p.post(t, relay, 3, 3)
		synctest.Wait() // 2 and 3 are under way on the relay
		p.a.UsePath(bob, direct)
		time.Sleep(50 * time.Millisecond)  // the first frame of the new path carries data and is lost with it
		time.Sleep(300 * time.Millisecond) // a probe brings the new generation to b, which asks to resume
		time.Sleep(100 * time.Millisecond)
		var before int
		var stale [][]byte
		p.sync(func() { before, stale = requests, late })
		if before == 0 || len(stale) != 2 {
			t.Fatalf("%d requests and %d late frames", before, len(stale))
		}
		for _, f := range [][]byte{stale[1], stale[0], stale[1]} {
			p.b.Receive(t.Context(), alice, relay, f)
		}
		synctest.Wait()
		p.sync(func() { before = requests - before })
		if before != 0 {
			t.Errorf("late frames of an old generation made b ask to resume")
		}
		wantRun(t, p.delivered(), 1, 1)
		p.sync(func() { hold = false })
		time.Sleep(3 * time.Second)
		wantRun(t, p.delivered(), 1, 3)
	})
}

// TestStaleLife: whatever one life of a runtime was sent, later lives deliver none of it; and an old life of the
// sender never replaces a newer one.
func TestStaleLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old [][]byte
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, _ Path, frame []byte) [][]byte {
			if fromA {
				old = append(old, append([]byte(nil), frame...))
			}
			return [][]byte{frame}
		}
		p.post(t, relay, 1, 20)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 20)
		var first [][]byte
		p.sync(func() { first = append(first, old...) })

		// b starts again: all that a's life ever sent comes again, before and after the two have paired.
		p.restart(&p.b, t.Context())
		replay := func() {
			for _, f := range first {
				p.b.Receive(t.Context(), alice, relay, append([]byte(nil), f...))
			}
			time.Sleep(time.Second)
		}
		replay()
		p.post(t, relay, 21, 25)
		time.Sleep(time.Second)
		replay()
		wantRun(t, p.delivered(), 1, 25)

		// a starts again: its first life does not come back.
		p.restart(&p.a, t.Context())
		p.post(t, relay, 26, 27)
		time.Sleep(time.Second)
		p.sync(func() { first = append(first, old...) })
		replay()
		if st := p.b.Snapshot()[0]; st.Incarnation != p.a.Incarnation() {
			t.Fatal("an old life of a replaced the new one")
		}
		p.post(t, relay, 28, 30)
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 30)
		p.close(t)
	})
}

// TestReflection: a relay that sends our own frames back does not become our peer.
func TestReflection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *Sessions
		var mu sync.Mutex
		frames := 0
		a = New(Options{Self: alice, Key: aliceSelf.key, TTL: 5 * time.Second,
			Send: func(_ context.Context, path Path, _ message.URL, fs ...[]byte) error {
				for _, f := range fs {
					mu.Lock()
					frames++
					mu.Unlock()
					a.Receive(t.Context(), bob, path, append([]byte(nil), f...))
				}
				return nil
			},
			Acceptor: taking(func(context.Context, message.URL, message.Message) { t.Error("delivered our own message") }),
		})
		if err := a.Post(t.Context(), bob, relay, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if st := a.Snapshot()[0]; st.Incarnation != 0 || st.Unacked != 1 {
			t.Fatalf("paired with ourselves: %+v", st)
		}
		if frames > 10 {
			t.Fatalf("%d frames in 4 s for a reflector", frames)
		}
		time.Sleep(2 * time.Second)
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
