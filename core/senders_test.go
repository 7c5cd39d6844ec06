package core_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// What an application has sent before it closes arrives, all of it and in order.
func TestWhatAClosedSenderHasSent(t *testing.T) {
	places(t, func(t *testing.T, _ *running, receiver, from *hyperty.Hyperty) {
		got := newLedger(receiver)
		s := &sender{h: from, to: receiver.URL()}
		last := s.send(t, 2000)
		if err := from.Close(t.Context()); err != nil {
			t.Error(err)
		}
		got.reach(t, last)
	})
}

// lives checks numbered messages of the lives of one sender: each life's come once and in order, from the first one on, and none comes
// behind one of a later life.
type lives struct {
	mu      sync.Mutex
	life, n int
	wrong   []string
}

func (l *lives) take(_ context.Context, m hyperty.Received) {
	var v struct {
		N    int
		Life string
	}
	err := m.Decode(&v)
	life := 0
	if err == nil {
		_, err = fmt.Sscan(v.Life, &life)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && life == l.life && v.N == l.n+1, err == nil && life == l.life+1 && v.N == 1:
		l.life, l.n = life, v.N
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%s after number %d of life %d: %v", m.Body, l.n, l.life, err))
	}
}

// An application is killed with -9 while it sends, and its next process sends too: what had reached its runtime arrives once and in
// order, without a gap, and before what the next process sends.
func TestAKilledSender(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, _ *hyperty.Hyperty) {
		got := &lives{}
		receiver.Handle(got.take)
		for life := 1; life <= 3; life++ {
			kill := startApplication(t, "send", r.socket(), filepath.Base(r.dir), fmt.Sprintf("%s,%d", receiver.URL(), life))
			r.until(fmt.Sprint("many of life ", life), waitTime, func() bool {
				got.mu.Lock()
				defer got.mu.Unlock()
				return got.life == life && got.n >= 500
			})
			kill()
		}
		got.mu.Lock()
		defer got.mu.Unlock()
		if len(got.wrong) > 0 {
			t.Errorf("%d are wrong, first: %s", len(got.wrong), got.wrong[0])
		}
	})
}

// A handler that comes later gets what waits for it, in order.
func TestAHandlerThatComesLater(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, from *hyperty.Hyperty) {
		var list []*hyperty.Delivery
		for n := range 20 {
			d, err := from.SendTracked(t.Context(), receiver.URL(), message.Update, map[string]int{"n": n + 1})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
		}
		if count := states(list); count[hyperty.Queued] != len(list) {
			t.Errorf("without a handler: %v", count)
		}
		newLedger(receiver).reach(t, len(list))
		if count := settled(t, list, nil); count[hyperty.Delivered] != len(list) {
			t.Errorf("with a handler: %v", count)
		}
	})
}

// An application that neither handles nor receives messages has none of them: after 10 seconds they are refused.
func TestLongNobodyTakesMessages(t *testing.T) {
	longtest.Skip(t)
	places(t, func(t *testing.T, r *running, receiver, from *hyperty.Hyperty) {
		receiver.Objects() // which are told of at its address, too
		began := time.Now()
		list := mail(t, from, receiver.URL(), 100)
		if n := list.check(t, r); n > 0 {
			t.Errorf("%d were delivered", n)
		}
		if d := time.Since(began); d < 9*time.Second || d > 20*time.Second {
			t.Errorf("refused after %v", d)
		}
		for _, d := range list.list {
			if o := d.Outcome(); o.State != hyperty.Refused || o.Code != message.CodeTimeout {
				t.Fatal(o)
			}
		}
	})
}
