package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
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
		p := newPair(t, Options{Acceptor: taking(func(context.Context, message.URL, message.Message) {
			time.Sleep(time.Millisecond)
			got++
		})}, nil)
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
				one.lock()
				if one.m.turn.Running() || one.m.delivering || one.m.send.Memory() != 0 || !one.m.recv.Resting() {
					t.Errorf("idle session: pumping %v, delivering %v, ring %d", one.m.turn.Running(), one.m.delivering, one.m.send.Memory())
				}
				one.unlock()
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

// TestLimits: what may not be, is refused with a reason.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{Totals: Totals{Sessions: 1}}, nil)
		defer p.close(t)
		p.post(t, relay, 1, 1)
		if err := p.a.Post(t.Context(), "hyperty-runtime://c.example/carol", relay, letter(1, 20)); !errors.Is(err, ErrTooMany) {
			t.Errorf("second session: %v", err)
		}
		if err := p.a.Post(t.Context(), message.URL(strings.TrimPrefix(string(alice), "hyperty-")), relay, letter(1, 20)); !errors.Is(err, ErrSelf) {
			t.Errorf("to itself: %v", err)
		}
	})
}

// A line outlives the session that it was made for: one that never paired is forgotten when it is idle.
func TestLineOfAForgottenSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		line, err := p.a.Line(bob, direct)
		if err != nil {
			t.Fatal(err)
		}
		old := p.a.lookup(bob)
		old.lock()
		old.m.forget()
		old.unlock()
		var m message.Message
		for n := uint64(1); n <= 3; n++ {
			m = letter(n, 20)
			if err := line.Post(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		wantRun(t, p.delivered(), 1, 3)
		if line.one.Load() != p.a.lookup(bob) {
			t.Error("the line still looks up its session for each message")
		}
		if err := p.a.Close(t.Context()); err != nil {
			t.Error(err)
		}
		m = letter(4, 20)
		if err := line.Post(t.Context(), &m); !errors.Is(err, ErrClosed) {
			t.Errorf("post after Close: %v", err)
		}
		if _, err := p.a.Line(alice, direct); !errors.Is(err, ErrSelf) {
			t.Errorf("a line to oneself: %v", err)
		}
		p.close(t)
	})
}
