package deliver

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/internal/minibus"
)

// source gives one batch each time that it is asked, as long as there are any; busy counts how often it does not let Run end.
type source struct {
	batches []*receiver.Batch
	busy    int
	asked   []time.Duration // when, where it was idle
	began   time.Time
}

func (s *source) Batches(room []receiver.Batch, idle bool) ([]receiver.Batch, bool) {
	if idle {
		s.asked = append(s.asked, time.Since(s.began))
		s.busy--
		return room[:0], s.busy < 0
	}
	if len(s.batches) == 0 {
		return room[:0], false
	}
	next := *s.batches[0]
	s.batches = s.batches[1:]
	return append(room[:0], next), false
}

// Run delivers all that there is, in order, what the peer has claimed before the batch with it, waits to be woken, and ends
// when there was nothing for a while and the source agrees.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, by := &owner{}, &settled{codes: map[uint64]int{}}
		var got []int
		o := Options{Acceptor: each(func(d *minibus.Delivery, _ bool) bool {
			got = append(got, number(&d.Message), host.claims)
			d.Receipt.Taken()
			return true
		})}
		d := New(t.Context(), o, host, "hyperty-runtime://a.example/x", 7)
		first, second := batch(by, "hyperty://b.example/1"), batch(by, "hyperty://b.example/1", "hyperty://b.example/2")
		second.Claims = true
		s := &source{batches: []*receiver.Batch{first, second}, busy: 1, began: time.Now()}
		came, done := make(chan struct{}, 1), make(chan struct{})
		go d.Run(func() { close(done) }, time.Second, came, s)
		synctest.Wait()
		if want := []int{1, 0, 1, 1, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("messages, and claims before them: %v, want %v", got, want)
		}
		s.batches = append(s.batches, first)
		came <- struct{}{}
		synctest.Wait()
		if len(got) != 8 {
			t.Errorf("%v: what has come is not delivered when Run is woken", got)
		}
		<-done
		if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(s.asked, want) {
			t.Errorf("has asked at %v whether to end, want %v", s.asked, want)
		}
	})
}
