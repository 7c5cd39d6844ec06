package session

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/deliver"
	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// A peer that takes addresses back without end, while its messages wait for listeners that take nothing, has no more kept
// than for one of them.
func TestEndsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hearing{known: map[message.URL]int{}, gone: map[message.URL]int{}}
		release := make(chan struct{})
		p := newPair(t, Options{Announced: h.announced, Ended: h.ended, Acceptor: each(func(_ context.Context, d *came) bool {
			if d.Wait {
				<-release
				d.Receipt.Taken()
			}
			return d.Wait
		})}, nil)
		for n := range 2 * deliver.MaxBehind {
			m := letter(uint64(n+1), 20)
			m.To = message.URL(fmt.Sprintf("hyperty://b.example/%d", n))
			if err := p.a.Post(t.Context(), bob, relay, m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		mine, theirs := p.end(true), p.end(false)
		theirs.mu.Lock()
		before := theirs.recv.Backlog()
		theirs.mu.Unlock()
		for n := range 1000 {
			mine.mu.Lock()
			locked{mine}.claim(wire.Claim{Address: message.URL(fmt.Sprintf("hyperty://a.example/%d", n)), Ended: true}, mine.send.Expiry(mine.all.now()))
			locked{mine}.poke()
			locked{mine}.unlock()
			time.Sleep(10 * time.Millisecond)
		}
		theirs.mu.Lock()
		after := theirs.recv.Backlog()
		theirs.mu.Unlock()
		if !theirsStuck(theirs) {
			t.Fatal("nothing waits: the test tests nothing")
		}
		if after > before+1 {
			t.Errorf("%d batches wait because of 1000 ends, %d did before", after, before)
		}
		close(release)
		time.Sleep(time.Second)
		h.mu.Lock()
		if len(h.gone) != receiver.MaxUntaken {
			t.Errorf("%d ends are taken, want %d", len(h.gone), receiver.MaxUntaken)
		}
		h.mu.Unlock()
		p.close(t)
	})
}

func theirsStuck(s *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recv.Busy() && s.recv.Backlog() > 0
}
