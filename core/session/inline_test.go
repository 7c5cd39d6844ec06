package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/sdk/message"
)

// talkers are two runtimes on a wire that takes frames at once, unless the test says otherwise. What one sends, the other
// has received when Send or TrySend returns.
type talkers struct {
	a, b  *Sessions
	mu    sync.Mutex
	got   []uint64 // what b was given
	lines []string // what was called, for frames of a
	full  bool     // a's path takes nothing at once
}

func newTalkers(t *testing.T, o Options, to Acceptor) *talkers {
	w := &talkers{}
	oa, ob := o, o
	oa.Self, oa.Key, ob.Self, ob.Key = alice, aliceSelf.key, bob, bobSelf.key
	oa.Send = func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
		for _, f := range frames {
			w.note("send")
			w.b.Receive(ctx, alice, path, f)
		}
		return nil
	}
	oa.TrySend = func(path Path, _ message.URL, f []byte) bool {
		w.mu.Lock()
		full := w.full
		w.mu.Unlock()
		if full {
			w.note("full")
			return false
		}
		w.note("try")
		w.b.Receive(t.Context(), alice, path, f)
		return true
	}
	ob.Send = func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
		for _, f := range frames {
			w.a.Receive(ctx, bob, path, f)
		}
		return nil
	}
	ob.TrySend = func(path Path, _ message.URL, f []byte) bool {
		w.a.Receive(t.Context(), bob, path, f)
		return true
	}
	if oa.Acceptor == nil {
		oa.Acceptor = taking(func(context.Context, message.URL, message.Message) {})
	}
	if ob.Acceptor = to; to == nil {
		ob.Acceptor = taking(func(_ context.Context, _ message.URL, m message.Message) {
			w.mu.Lock()
			w.got = append(w.got, number(m))
			w.mu.Unlock()
		})
	}
	w.a, w.b = New(oa), New(ob)
	t.Cleanup(func() {
		w.a.Close(context.Background())
		w.b.Close(context.Background())
	})
	return w
}

func (w *talkers) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, what)
}

// since is what was called, and what b was given, since it was asked last.
func (w *talkers) since() (lines []string, got []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, got = w.lines, w.got
	w.lines, w.got = nil, nil
	return lines, got
}

func (w *talkers) post(t *testing.T, n uint64) {
	t.Helper()
	if err := w.a.Post(t.Context(), bob, relay, letter(n, 40)); err != nil {
		t.Fatal(err)
	}
}

// TestNoHops: a message that comes alone has been sent, opened and delivered when Post returns, and no other goroutine
// had to wake up for it.
func TestNoHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTalkers(t, Options{}, nil)
		w.post(t, 1)
		time.Sleep(time.Second)
		w.since()
		for n := uint64(2); n < 100; n++ {
			w.post(t, n)
			if lines, got := w.since(); !slices.Equal(lines, []string{"try"}) || !slices.Equal(got, []uint64{n}) {
				t.Fatalf("message %d: %v, %v was given", n, lines, got)
			}
			time.Sleep(25 * time.Millisecond)
			w.since() // acknowledgements
		}
	})
}

// TestRow: messages that come in a row are packed by the pump, behind the first.
func TestRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTalkers(t, Options{}, nil)
		w.post(t, 1)
		time.Sleep(time.Second)
		w.since()
		for n := uint64(2); n < 100; n++ {
			w.post(t, n)
		}
		synctest.Wait()
		lines, got := w.since()
		if lines[0] != "try" || slices.Contains(lines[1:], "try") {
			t.Errorf("sent by %v", lines)
		}
		wantRun(t, got, 2, 99)
	})
}

// TestPathFull: what a path does not take at once the pump sends, with what has come behind it, in order and once; and
// an acknowledgement that the frame carried is not forgotten.
func TestPathFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTalkers(t, Options{}, nil)
		w.post(t, 1)
		time.Sleep(time.Second)
		w.mu.Lock()
		w.full = true
		w.mu.Unlock()
		w.since()
		for n := uint64(2); n < 50; n++ {
			if err := w.b.Post(t.Context(), alice, relay, letter(n, 40)); err != nil {
				t.Fatal(err)
			}
			w.post(t, n)
			synctest.Wait()
			lines, got := w.since()
			if !slices.Equal(lines, []string{"full", "send"}) || !slices.Equal(got, []uint64{n}) {
				t.Fatalf("message %d: %v, %v was given", n, lines, got)
			}
			for _, st := range w.b.Snapshot() {
				if st.Unacked != 0 {
					t.Fatalf("message %d: the other side's are not acknowledged: %+v", n, st)
				}
			}
			time.Sleep(time.Second)
			w.since()
		}
		for _, st := range w.a.Snapshot() {
			if st.Rewinds != 0 || st.Unacked != 0 {
				t.Errorf("%+v", st)
			}
		}
	})
}

// TestAnswerAtOnce: who is given a message may post from there, and in turn.
func TestAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 500
		var w *talkers
		var last uint64
		done := make(chan struct{})
		answer := func(from func() *Sessions, to message.URL, in bool) Acceptor {
			return taking(func(ctx context.Context, _ message.URL, m message.Message) {
				n := number(m)
				if in {
					if n != last+1 {
						t.Errorf("%d after %d", n, last)
					}
					if last = n; n == rounds {
						close(done)
						return
					}
					n++
				}
				if err := from().Post(ctx, to, relay, letter(n, 40)); err != nil {
					t.Error(err)
				}
			})
		}
		w = newTalkers(t, Options{Acceptor: answer(func() *Sessions { return w.a }, bob, true)},
			answer(func() *Sessions { return w.b }, alice, false))
		w.post(t, 1)
		<-done
	})
}

// TestReceiveDoesNotWait: where more destinations are behind than may have a queue, not even then does Receive wait: the
// rest of the frame is delivered later, in order.
func TestReceiveDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var mu sync.Mutex
		got := map[message.URL][]uint64{}
		w := newTalkers(t, Options{}, each(func(ctx context.Context, d *came) bool {
			select {
			case <-gate:
			default:
				if !d.Wait {
					return false
				}
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
			mu.Lock()
			got[d.Message.To] = append(got[d.Message.To], number(d.Message))
			mu.Unlock()
			d.Receipt.Taken()
			return true
		}))
		n := uint64(0)
		for range 3 {
			for to := range deliver.MaxBehind + 20 {
				n++
				m := letter(n, 40)
				m.To = message.URL(fmt.Sprintf("hyperty://b.example/%d", to))
				if err := w.a.Post(t.Context(), bob, relay, m); err != nil { // returns only when Receive does
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
		close(gate)
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		all := 0
		for to, list := range got {
			if all += len(list); !slices.IsSorted(list) || len(list) != 3 {
				t.Errorf("%s was given %v", to, list)
			}
		}
		if all != int(n) {
			t.Errorf("%d of %d were delivered", all, n)
		}
	})
}
