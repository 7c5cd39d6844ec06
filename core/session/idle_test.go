package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// noDoubt checks that nobody was told of a restart, or that a message may not have arrived.
func (p *pairOf) noDoubt(t *testing.T) {
	t.Helper()
	for _, k := range []EventKind{Reset, Expired} {
		if e := p.events(k); len(e) != 0 {
			t.Errorf("told %+v", e)
		}
	}
}

// TestIdleIsDropped: a session that was idle for long is dropped, by both sides or by one, and whoever speaks next pairs again.
// What is said arrives once and in order, and nothing is in doubt.
func TestIdleIsDropped(t *testing.T) {
	for name, idle := range map[string][2]time.Duration{
		"both drop it": {time.Hour, time.Hour}, "the initiator": {time.Hour, -1}, "the responder": {-1, time.Hour}, "neither": {-1, -1},
	} {
		for _, answers := range []bool{false, true} { // the other side speaks first afterwards
			t.Run(fmt.Sprint(name, answers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t, Options{}, nil)
					p.a.o.IdleTimeout, p.b.o.IdleTimeout = idle[0], idle[1]
					defer p.close(t)
					n, back := uint64(0), uint64(0)
					for range 5 {
						if answers {
							back++
							if err := p.b.Post(t.Context(), alice, relay, letter(1<<32+back, 20)); err != nil {
								t.Fatal(err)
							}
						}
						p.post(t, relay, n+1, n+3)
						n += 3
						time.Sleep(time.Minute)
						wantRun(t, p.delivered(), 1, n)
						if answers && p.a.Snapshot()[0].Outstanding+p.b.Snapshot()[0].Outstanding != 0 {
							t.Error("something is under way")
						}
						time.Sleep(50 * time.Minute)
						if len(p.a.Snapshot()) != 1 || len(p.b.Snapshot()) != 1 {
							t.Fatal("dropped too early")
						}
						time.Sleep(time.Hour)
						for i, s := range []*Sessions{p.a, p.b} {
							if kept := len(s.Snapshot()) == 1; kept != (idle[i] < 0) {
								t.Errorf("side %d keeps the session: %v", i, kept)
							}
						}
					}
					p.noDoubt(t)
				})
			})
		}
	}
}

// TestIdleKeeps: what is not acknowledged, not taken, or not yet known to be taken keeps a session, for as long as it lasts.
func TestIdleKeeps(t *testing.T) {
	for _, what := range []string{"not acknowledged", "not taken", "not reported"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var receipts []minibus.Receipt
				deaf := map[bool]bool{} // by who sends
				o := Options{IdleTimeout: time.Minute, TTL: -1, Acceptor: each(func(_ context.Context, d *came) bool {
					mu.Lock()
					defer mu.Unlock()
					receipts = append(receipts, d.Receipt)
					return true
				})}
				p := newPair(t, o, func(fromA bool, _ Path, frame []byte) [][]byte {
					if deaf[fromA] {
						return nil
					}
					return [][]byte{frame}
				})
				defer p.close(t)
				take := func() {
					mu.Lock()
					defer mu.Unlock()
					for _, r := range receipts {
						r.Taken()
					}
					receipts = nil
				}
				p.post(t, relay, 1, 1)
				time.Sleep(time.Second)
				kept := []*Sessions{p.a, p.b}
				switch what {
				case "not acknowledged":
					p.sync(func() { deaf[true] = true })
					p.post(t, relay, 2, 2)
					take()
					kept = kept[:1]
				case "not reported":
					p.sync(func() { deaf[false] = true })
					take()
				}
				time.Sleep(time.Hour)
				for _, s := range kept {
					if len(s.Snapshot()) != 1 {
						t.Errorf("%s has dropped the session", s.self)
					}
				}
				p.sync(func() { clear(deaf) })
				time.Sleep(time.Minute)
				take()
				time.Sleep(time.Hour)
				if n := len(p.a.Snapshot()) + len(p.b.Snapshot()); n != 0 {
					t.Errorf("%d sessions are kept: %+v %+v", n, p.a.Snapshot(), p.b.Snapshot())
				}
				p.noDoubt(t)
			})
		})
	}
}

// TestDroppedWhileUnderWay: what was sent to a session that its receiver has dropped meanwhile is sent again to the next,
// and arrives once, also where the first frames come in the end.
func TestDroppedWhileUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, held, all := false, [][]byte(nil), [][]byte(nil)
		p := newPair(t, Options{TTL: time.Hour}, func(fromA bool, _ Path, frame []byte) [][]byte {
			if !fromA {
				return [][]byte{frame}
			}
			all = append(all, frame)
			if hold {
				held = append(held, frame)
				return nil
			}
			return [][]byte{frame}
		})
		p.a.o.IdleTimeout, p.b.o.IdleTimeout = -1, 2*time.Minute
		defer p.close(t)
		p.post(t, relay, 1, 5)
		time.Sleep(time.Minute)
		p.sync(func() { hold = true })
		p.post(t, relay, 6, 10)
		time.Sleep(10 * time.Minute)
		if len(p.b.Snapshot()) != 0 {
			t.Fatal("the receiver keeps the session")
		}
		var late, old [][]byte
		p.sync(func() { hold, late, old = false, held, all })
		replay := func(frames [][]byte) {
			for _, f := range frames {
				p.b.Receive(t.Context(), alice, direct, append([]byte(nil), f...))
			}
		}
		replay(late[:1]) // the sender learns of it by the answer
		replay(old)
		time.Sleep(time.Minute)
		wantRun(t, p.delivered(), 1, 10)
		replay(late)
		replay(old)
		p.post(t, relay, 11, 15)
		replay(late)
		time.Sleep(time.Minute)
		wantRun(t, p.delivered(), 1, 15)
		if e := p.events(Renewed); len(e) != 1 {
			t.Errorf("told %+v", e)
		}
		p.noDoubt(t)
	})
}

// star is one runtime, and others that are joined with it alone.
type star struct {
	t     *testing.T
	hub   *Sessions
	mu    sync.Mutex
	tips  map[message.URL]*Sessions
	mute  map[message.URL]bool // those of whom nothing arrives
	count uint16
}

func newStar(t *testing.T, o Options) *star {
	st := &star{t: t, tips: map[message.URL]*Sessions{}, mute: map[message.URL]bool{}}
	o.Self, o.Key, o.Acceptor = alice, aliceSelf.key, taking(func(context.Context, message.URL, message.Message) {})
	o.Send = func(ctx context.Context, path Path, remote message.URL, frames ...[]byte) error {
		st.mu.Lock()
		to := st.tips[remote]
		st.mu.Unlock()
		for _, f := range frames {
			if to != nil {
				to.Receive(ctx, alice, path, append([]byte(nil), f...))
			}
		}
		return nil
	}
	st.hub = New(o)
	return st
}

// tip joins one more runtime.
func (st *star) tip() *Sessions {
	st.count++
	who := numbered("tips.example", 100, st.count)
	s := New(Options{Self: who.url, Key: who.key, TTL: 3 * time.Second, Acceptor: taking(func(context.Context, message.URL, message.Message) {}),
		Send: func(ctx context.Context, path Path, _ message.URL, frames ...[]byte) error {
			st.mu.Lock()
			mute := st.mute[who.url]
			st.mu.Unlock()
			if mute {
				return nil
			}
			for _, f := range frames {
				st.hub.Receive(ctx, who.url, path, append([]byte(nil), f...))
			}
			return nil
		}})
	st.mu.Lock()
	st.tips[who.url] = s
	st.mu.Unlock()
	return s
}

// speaks has a runtime say something to another, and tells whether it has arrived.
func (st *star) speaks(from *Sessions, to message.URL) bool {
	st.t.Helper()
	if err := from.Post(st.t.Context(), to, relay, letter(1, 20)); errors.Is(err, ErrTooMany) {
		return false
	} else if err != nil {
		st.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	for _, s := range from.Snapshot() {
		if s.Remote == to && s.Incarnation != 0 {
			return s.Outstanding == 0
		}
	}
	return false
}

func (st *star) close() {
	ctx, cancel := context.WithCancel(st.t.Context())
	cancel()
	st.hub.Close(ctx)
	for _, s := range st.tips {
		s.Close(ctx)
	}
}

// TestForsaken: a runtime that never acknowledges what it is told holds its place only while nobody needs it. If it comes
// back its messages are in doubt there, and none is taken twice.
func TestForsaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStar(t, Options{Totals: Totals{Sessions: 1}, IdleTimeout: time.Minute})
		defer st.close()
		taken := 0
		st.hub.o.Acceptor = taking(func(context.Context, message.URL, message.Message) { taken++ })
		gone := st.tip()
		gone.o.IdleTimeout, gone.o.Silence.Ask = -1, 0 // it does not take the other one for gone
		told := 0
		gone.o.Events = func(e Event) {
			if e.Kind == Reset {
				told++
			}
		}
		if err := gone.Post(t.Context(), alice, relay, letter(1, 20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // it is taken, and has not been told of
		st.mu.Lock()
		delete(st.tips, gone.self)
		st.mu.Unlock()
		time.Sleep(4 * time.Minute)
		if other := st.tip(); st.speaks(other, alice) || st.speaks(st.hub, other.self) {
			t.Error("what is to be told of was forgotten too early")
		}
		time.Sleep(4 * time.Minute)
		if !st.speaks(st.hub, st.tip().self) {
			t.Error("a runtime that has gone holds its place")
		}
		time.Sleep(5 * time.Minute)
		st.mu.Lock()
		st.tips[gone.self] = gone
		st.mu.Unlock()
		st.speaks(gone, alice) // sent to the session that is not there any more: in doubt
		if !st.speaks(gone, alice) || taken != 2 {
			t.Errorf("%d messages were taken", taken)
		}
		if told != 1 {
			t.Errorf("told %d times that the other has started again", told)
		}
	})
}

// TestFullTable: runtimes that have proven themselves fill the table but for an eighth, which is for those that this one has
// something to say to; and those that are idle make room.
func TestFullTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStar(t, Options{Totals: Totals{Sessions: 8}})
		defer st.close()
		for n := range 9 {
			if arrived := st.speaks(st.tip(), alice); arrived != (n < 7) {
				t.Errorf("runtime %d was let in: %v", n, arrived)
			}
		}
		if !st.speaks(st.hub, st.tip().self) {
			t.Error("no place for a runtime that this one speaks to")
		}
		if st.speaks(st.hub, st.tip().self) {
			t.Error("more than the table holds, though none was idle for long")
		}
		time.Sleep(2 * evictIdle)
		if !st.speaks(st.tip(), alice) || !st.speaks(st.hub, st.tip().self) {
			t.Error("idle sessions make no room")
		}
		if n := len(st.hub.Snapshot()); n > 8 {
			t.Errorf("%d sessions", n)
		}
	})
}
