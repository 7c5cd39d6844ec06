package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// refusing takes what is sent to it, and refuses it when it is told to: a destination that goes.
type refusing struct {
	mu   sync.Mutex
	held []minibus.Delivery
}

func (r *refusing) TryAccept(remote message.URL, run []minibus.Delivery) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, run...)
	return len(run)
}

func (r *refusing) Accept(_ context.Context, remote message.URL, d *minibus.Delivery) {
	r.TryAccept(remote, []minibus.Delivery{*d})
}

func (r *refusing) end(why func(n int) error) (n int) {
	r.mu.Lock()
	list := r.held
	r.held = nil
	r.mu.Unlock()
	for n, d := range list {
		d.Receipt.Failed(d.Message, why(n))
	}
	return len(list)
}

// All that waits at a destination that goes is refused: the session here is told of each message once, with the code and the reason,
// and by nothing else than the session that it went by. Frames are lost meanwhile, and the address is given up at once.
func TestRejected(t *testing.T) {
	for name, reasons := range map[string]int{"for one reason": 1, "for more reasons than are told apart": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := &refusing{}
				p := newPair(t, Options{Acceptor: at, Rejections: true, Refuse: func(_ message.URL, m message.Message, _ error) {
					t.Errorf("the sender of %s is to be answered besides", m.ID)
				}}, nil)
				frames, loss := 0, rand.New(rand.NewPCG(1, 1)) // not every third: in a network without latency the same frame could be lost for ever
				p.hook = func(_ bool, _ Path, frame []byte) [][]byte {
					if frames++; frames > 100 && loss.IntN(3) == 0 {
						return nil
					}
					return [][]byte{frame}
				}
				defer p.close(t)
				const count = 3000
				p.post(t, direct, 1, count)
				time.Sleep(time.Minute)
				refused := at.end(func(n int) error {
					return &message.ResponseError{Code: message.CodeNotFound, Description: fmt.Sprintf("it has gone: %d", n%reasons)}
				})
				p.b.Ended("hyperty://b.example/y")
				time.Sleep(time.Minute)
				heard := map[string]int{}
				for _, e := range p.events(Rejected) {
					if e.Code != message.CodeNotFound || e.Remote != bob || reasons == 1 && e.Why != "it has gone: 0" {
						t.Errorf("%d %s %q", e.Code, e.Remote, e.Why)
					}
					for _, m := range e.Messages {
						heard[m.ID.String()]++
						if m.From != "hyperty://a.example/x" || m.To != "hyperty://b.example/y" || m.Type != message.Update {
							t.Errorf("%+v", m)
						}
					}
				}
				if refused != count || len(heard) != count {
					t.Errorf("%d were refused, %d heard of, want %d", refused, len(heard), count)
				}
				for id, n := range heard {
					if n != 1 {
						t.Errorf("%s was heard of %d times", id, n)
					}
				}
				if st := p.a.Snapshot()[0]; st.Outstanding != 0 {
					t.Errorf("%d are outstanding", st.Outstanding)
				}
			})
		})
	}
}

// A peer that does not read refusals is told with TAKEN alone, and the sender is answered by whoever refuses.
func TestRejectedByOneWhoCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, answered := &refusing{}, 0
		p := newPair(t, Options{Acceptor: at, Refuse: func(message.URL, message.Message, error) { answered++ }}, nil)
		defer p.close(t)
		p.post(t, direct, 1, 10)
		time.Sleep(time.Second)
		at.end(func(int) error { return &message.ResponseError{Code: message.CodeNotFound} })
		time.Sleep(time.Second)
		if list := p.events(Rejected); answered != 10 || len(list) != 0 || p.a.Snapshot()[0].Outstanding != 0 {
			t.Errorf("%d were answered, %+v", answered, list)
		}
	})
}
