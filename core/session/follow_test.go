package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

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
// acknowledged for Options.Paths.Stall, not so long after it took the last.
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
