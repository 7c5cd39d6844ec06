package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// TestSwitch: at a switch everything unacknowledged is sent again on the new path, which begins with a RESUME of a
// higher generation; a path that blocks is left at once.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := false
		var first *wire.Head // of the new path
		var gens [2]uint64
		p := newPair(t, Options{}, nil)
		p.hook = func(fromA bool, path Path, frame []byte) [][]byte {
			if !fromA {
				return [][]byte{frame}
			}
			h, f, _ := p.peek(t, fromA, frame)
			if path == direct && first == nil {
				first, gens[1] = &h, f.Gen
			}
			if path == relay {
				if gens[0] = f.Gen; hole {
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
		if first == nil || first.Kind != wire.Resume || gens[1] <= gens[0] {
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
					limit += p.a.o.Paths.Stall
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
