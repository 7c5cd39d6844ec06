package session

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// carried are the messages that the frames from a have carried by a path.
func carried(t *testing.T, p *pairOf, by Path) (count func() int) {
	n := 0
	hook := func(fromA bool, path Path, frame []byte) [][]byte {
		if h, err := wire.ParseHead(frame); err == nil && h.Kind != wire.Hello && fromA && path == by {
			_, _, messages := p.peek(t, fromA, frame)
			n += int(messages)
		}
		return [][]byte{frame}
	}
	p.sync(func() { p.hook = hook })
	return func() (got int) {
		p.sync(func() { got = n })
		return got
	}
}

// Once a message was posted for the direct path, which is live, nothing that was found out before takes a message to the relay:
// neither a message whose path was looked up earlier, nor an earlier word that the relay is the best.
func TestNoMessageGoesBackToTheRelay(t *testing.T) {
	for _, how := range []string{"a message", "a message that was tried", "UsePath"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Options{Route: func(message.URL) (Path, bool) { return direct, true }}, nil)
				defer p.close(t)
				p.post(t, relay, 1, 3)
				time.Sleep(time.Second)
				byRelay := carried(t, p, relay)
				p.post(t, direct, 4, 6)
				var err error
				last := uint64(7)
				switch how {
				case "a message":
					p.post(t, relay, 7, 7)
				case "a message that was tried":
					err = p.a.TryPost(bob, relay, letter(7, 40))
				default:
					p.a.UsePath(bob, relay)
					last = 6
				}
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				wantRun(t, p.delivered(), 1, last)
				if n := byRelay(); n != 0 {
					t.Errorf("%d messages took the relay although the direct path is live", n)
				}
				if st := p.a.Snapshot()[0]; st.Path != direct {
					t.Errorf("the session uses %+v", st.Path)
				}
			})
		})
	}
}

// A message for the direct path that is posted while the session is being told of the relay as the best goes directly.
func TestRouteThatIsOlderThanThePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asks, live atomic.Bool
		answer := make(chan struct{})
		p := newPair(t, Options{Route: func(message.URL) (Path, bool) {
			if live.Load() {
				return direct, true
			}
			if asks.Load() {
				<-answer
			}
			return relay, true
		}}, nil)
		defer p.close(t)
		p.post(t, relay, 1, 3)
		time.Sleep(time.Second)
		byRelay := carried(t, p, relay)
		asks.Store(true)
		p.a.PathDown(relay)
		time.Sleep(time.Second) // the relay may be tried again
		p.post(t, Path{}, 4, 4)
		synctest.Wait() // the session waits for the answer
		live.Store(true)
		p.post(t, direct, 5, 5)
		close(answer)
		synctest.Wait()
		wantRun(t, p.delivered(), 1, 5)
		if n := byRelay(); n != 0 {
			t.Errorf("%d messages took the relay although the direct path is live", n)
		}
	})
}

// Where the direct path has ended a message that says so leaves it at once, even if nobody else knows another path.
func TestMessageLeavesADirectPathThatHasEnded(t *testing.T) {
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, Options{Route: func(message.URL) (Path, bool) { return relay, known }}, nil)
			defer p.close(t)
			p.post(t, direct, 1, 3)
			time.Sleep(time.Second)
			byRelay := carried(t, p, relay)
			p.post(t, relay, 4, 6)
			synctest.Wait()
			wantRun(t, p.delivered(), 1, 6)
			if n := byRelay(); n != 3 {
				t.Errorf("%d messages took the relay, want 3", n)
			}
		})
	}
}
