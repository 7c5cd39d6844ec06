package session

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/message"
)

// leaves takes a runtime off the star: nothing reaches it, and it sends nothing that arrives.
func (st *star) leaves(s *Sessions) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.tips, s.self)
	st.mute[s.self] = true
}

func (st *star) returns(s *Sessions) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.tips[s.self] = s
	delete(st.mute, s.self)
}

// TestGone: the session with a runtime that has gone ends, whatever was under way, sooner where the node says that it is not
// connected, and its senders are told. What comes first afterwards begins another one.
func TestGone(t *testing.T) {
	for name, c := range map[string]struct {
		says         bool // the node says that it is not connected
		early, late  time.Duration
		owed, posted bool // it has not been told of what was taken; messages are posted to it all the time
	}{
		"silent": {false, 4 * time.Minute, 6 * time.Minute, true, false}, "not connected": {true, 2 * time.Minute, 3 * time.Minute, true, false},
		"messages for it": {true, 2 * time.Minute, 3 * time.Minute, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				told := map[EventKind]int{}
				st := newStar(t, Options{IdleTimeout: -1, Events: func(e Event) {
					mu.Lock()
					defer mu.Unlock()
					told[e.Kind]++
				}})
				defer st.close()
				tip := st.tip()
				if !st.speaks(tip, alice) || !st.speaks(st.hub, tip.self) {
					t.Fatal("they do not speak")
				}
				if c.owed {
					if err := tip.Post(t.Context(), alice, relay, letter(2, 20)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				st.leaves(tip)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				if c.says {
					wg.Go(func() {
						for ; ctx.Err() == nil; time.Sleep(time.Second) {
							st.hub.Away(tip.self, relay.Stub)
						}
					})
				}
				time.Sleep(c.early)
				if c.posted {
					for id := range uint64(3) {
						if err := st.hub.Post(ctx, tip.self, relay, letter(100+id, 20)); err != nil {
							t.Error(err)
						}
					}
				}
				if len(st.hub.Snapshot()) != 1 {
					t.Errorf("the session has ended after %v", c.early)
				}
				time.Sleep(c.late - c.early)
				if n := len(st.hub.Snapshot()); n != 0 {
					t.Errorf("%d sessions after %v: %+v", n, c.late, st.hub.Snapshot())
				}
				cancel()
				wg.Wait()
				mu.Lock()
				if told[Gone] != 1 || (told[Expired] != 0) != c.posted {
					t.Errorf("told %v", told)
				}
				mu.Unlock()
				if used := st.hub.memory.Sending() + st.hub.memory.Waiting(); used != 0 {
					t.Errorf("%d bytes are counted", used)
				}
				st.returns(tip)
				time.Sleep(time.Minute)
				st.speaks(tip, alice) // what is sent to the session that is not there any more may be in doubt
				if !st.speaks(tip, alice) || !st.speaks(st.hub, tip.self) {
					t.Error("they do not speak again")
				}
			})
		})
	}
}

// TestGoneWhilePostersWait: whoever waits to post to a runtime that has gone begins another session with it.
func TestGoneWhilePostersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStar(t, Options{RingBytes: 1, Silence: Silence{Ask: 5 * time.Second, Gone: 8 * time.Second}})
		defer st.close()
		tip := st.tip()
		if !st.speaks(st.hub, tip.self) {
			t.Fatal("they do not speak")
		}
		st.leaves(tip)
		var wg sync.WaitGroup
		failed := make(chan error, 10)
		for id := range uint64(10) {
			wg.Go(func() { failed <- st.hub.Post(t.Context(), tip.self, relay, letter(100+id, 20)) })
		}
		time.Sleep(20 * time.Second)
		st.returns(tip)
		wg.Wait()
		close(failed)
		for err := range failed {
			if err != nil && !errors.Is(err, ErrBackpressure) {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		for _, s := range st.hub.Snapshot() {
			if s.Outstanding != 0 {
				t.Errorf("%d messages are outstanding", s.Outstanding)
			}
		}
	})
}

// TestKept: a session that something relies on is kept while its runtime answers, however long nothing is exchanged; and one with a
// direct path.
func TestKept(t *testing.T) {
	for name, path := range map[string]Path{"relied on": relay, "direct": direct} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				relies := path == relay
				st := newStar(t, Options{Silence: Silence{Keeps: func(message.URL) bool { return relies }}})
				defer st.close()
				tip := st.tip()
				tip.o.Silence.Keeps = st.hub.o.Silence.Keeps
				if err := st.hub.Post(t.Context(), tip.self, path, letter(1, 20)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Hour)
				if len(st.hub.Snapshot()) != 1 {
					t.Error("the session has ended")
				}
				if st.hub.PathDown(direct); relies {
					st.leaves(tip)
				}
				time.Sleep(30 * time.Minute)
				if len(st.hub.Snapshot()) != 0 {
					t.Error("the session stays")
				}
			})
		})
	}
}

// TestManyGone: of runtimes that came and went nothing is kept, however many they were.
func TestManyGone(t *testing.T) { comeAndGo(t, 600) }

func TestLongTenThousandGone(t *testing.T) {
	longtest.Skip(t)
	comeAndGo(t, 10_000)
}

func comeAndGo(t *testing.T, peers int) {
	synctest.Test(t, func(t *testing.T) {
		st := newStar(t, Options{})
		defer st.close()
		const atOnce = 200
		before := heap()
		for range peers / atOnce {
			var tips []*Sessions
			for range atOnce {
				tip := st.tip()
				if err := tip.Post(t.Context(), alice, relay, letter(1, 20)); err != nil {
					t.Fatal(err)
				}
				tips = append(tips, tip)
			}
			time.Sleep(time.Millisecond) // some have been told, others have not
			for _, tip := range tips {
				st.leaves(tip)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			for _, tip := range tips {
				tip.Close(ended)
			}
		}
		if n := len(st.hub.Snapshot()); n == 0 {
			t.Error("there were no sessions")
		}
		time.Sleep(12 * time.Minute)
		if n := len(st.hub.Snapshot()); n != 0 {
			t.Errorf("%d sessions stay", n)
		}
		if after := heap(); after > before+2<<20 {
			t.Errorf("%d KiB before, %d KiB after", before>>10, after>>10)
		}
	})
}

// heap is how many bytes are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
