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
		p := newPair(t, Options{Claims: Claims{h.announced, h.ended}, Acceptor: each(func(_ context.Context, d *came) bool {
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
		theirs.lock()
		before := theirs.m.recv.Backlog()
		theirs.unlock()
		for n := range 1000 {
			mine.lock()
			mine.m.claim(wire.Claim{Address: message.URL(fmt.Sprintf("hyperty://a.example/%d", n)), Ended: true}, mine.m.send.Expiry(mine.all.now()))
			mine.m.poke()
			mine.unlock()
			time.Sleep(10 * time.Millisecond)
		}
		theirs.lock()
		after := theirs.m.recv.Backlog()
		theirs.unlock()
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
	s.lock()
	defer s.unlock()
	return s.m.recv.Busy() && s.m.recv.Backlog() > 0
}
