package core_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// outcomes is what the sender of untracked messages hears of them, by ID.
type outcomes struct {
	mu   sync.Mutex
	list map[string][]hyperty.Outcome
}

// listenFor notes what h hears.
func listenFor(h *hyperty.Hyperty) *outcomes {
	o := &outcomes{list: map[string][]hyperty.Outcome{}}
	h.HandleResponses(func(_ context.Context, m message.Message) {
		one, err := hyperty.OutcomeOf(m)
		if err != nil {
			one.Reason = err.Error()
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.list[m.ID.String()] = append(o.list[m.ID.String()], one)
	})
	return o
}

// states counts the states; twice is how many messages were reported more than once.
func (o *outcomes) states() (count map[hyperty.DeliveryState]int, twice int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	count = map[hyperty.DeliveryState]int{}
	for _, list := range o.list {
		count[list[0].State]++
		if len(list) > 1 {
			twice++
		}
	}
	return count, twice
}

// A runtime ends while messages wait for a handler: that of the receiver, or that of the senders, whose application lives on. Each
// sender hears of each of its untracked messages that was not handled, once: that it is refused, or in doubt.
func TestMessagesAreAccountedForWhenARuntimeEnds(t *testing.T) {
	for _, ends := range []string{"receiver's", "senders'"} {
		for _, where := range []string{"socket", "process"} {
			t.Run(ends+", receiver behind "+where, func(t *testing.T) {
				node := startNode(t, "example.com")
				a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
				b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
				var receiver *hyperty.Hyperty
				if where == "socket" {
					receiver = b.application("receiver")
				} else {
					receiver = b.register("receiver")
				}
				var handled atomic.Int32
				receiver.Handle(func(ctx context.Context, _ hyperty.Received) {
					handled.Add(1)
					<-ctx.Done()
				})
				const count = 500
				var heard []*outcomes
				for n := range 3 {
					h := a.application(fmt.Sprintf("sender%d", n))
					heard = append(heard, listenFor(h))
					for i := range count {
						if err := h.Send(t.Context(), receiver.URL(), i); err != nil {
							t.Fatal(err)
						}
					}
				}
				b.until("all have left", waitTime, func() bool {
					s, err := a.Status(t.Context())
					return err == nil && len(s.Sessions) == 1 && s.Sessions[0].Unacknowledged == 0 && s.Sessions[0].Outstanding >= 3*count-1
				})
				began := time.Now()
				if ends == "receiver's" {
					b.close()
				} else {
					a.close()
				}
				told := func() (n, twice int, all string) {
					for _, o := range heard {
						s, t := o.states()
						n += s[hyperty.Refused] + s[hyperty.InDoubt]
						twice += t
						all += fmt.Sprint(s)
					}
					return n, twice, all
				}
				b.until("all are accounted for", waitTime, func() bool { n, _, _ := told(); return n >= 3*count-1 })
				_, twice, all := told()
				t.Logf("%v: %s, %d handled", time.Since(began).Round(time.Millisecond), all, handled.Load())
				if twice > 0 {
					t.Errorf("%d are reported twice", twice)
				}
			})
		}
	}
}
