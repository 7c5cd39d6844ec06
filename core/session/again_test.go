package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAgain: what carries the path has lost what was under way. It is sent again at once, not when a probe finds it
// missing, and nothing comes twice.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lossy := false
		p := newPair(t, Options{}, func(fromA bool, _ Path, f []byte) [][]byte {
			if lossy && fromA {
				return nil
			}
			return [][]byte{f}
		})
		p.post(t, relay, 1, 10)
		time.Sleep(time.Second)
		p.sync(func() { lossy = true })
		p.post(t, relay, 11, 20)
		time.Sleep(10 * time.Millisecond)
		p.sync(func() { lossy = false })
		wantRun(t, p.delivered(), 1, 10)
		p.a.Again(direct) // not this one
		p.a.Again(Path{})
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 10)
		p.a.Again(relay)
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 20)
		if n := len(p.events(Switched)); n != 1 {
			t.Errorf("%d changes of path", n)
		}
		p.close(t)
	})
}

// TestAgainAsks: what the other side has sent meanwhile is asked for too.
func TestAgainAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lossy := false
		p := newPair(t, Options{}, func(fromA bool, _ Path, f []byte) [][]byte {
			if lossy {
				return nil
			}
			return [][]byte{f}
		})
		p.post(t, relay, 1, 10)
		time.Sleep(time.Second)
		p.sync(func() { lossy = true })
		p.post(t, relay, 11, 20)
		time.Sleep(10 * time.Millisecond)
		p.sync(func() { lossy = false })
		p.b.Again(relay) // b is who misses something
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 20)
		p.close(t)
	})
}
