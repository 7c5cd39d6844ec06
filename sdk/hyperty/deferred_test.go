package hyperty

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// A message that has waited for a handler is delivered with Done, when the handler that comes later defers it.
func TestAHandlerThatComesLaterDefers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := member(t, newHall(t), "h")
		d, err := h.SendTracked(t.Context(), h.URL(), message.Update, 1)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until the message waits
		deferred := make(chan Received, 1)
		h.Handle(func(_ context.Context, m Received) {
			m.Defer()
			deferred <- m
		})
		m := <-deferred
		synctest.Wait() // until the handler has returned
		if o := d.Outcome(); o.State != Queued {
			t.Errorf("before it is done: %v", o)
		}
		m.Done()
		synctest.Wait()
		if o := d.Outcome(); o.State != Delivered {
			t.Errorf("when it is done: %v", o)
		}
	})
}

// once notes what becomes of one message.
type once struct {
	mu    sync.Mutex
	codes []int
}

func (o *once) Settled(_ uint64, _ uint32, code int) { o.note(code) }
func (o *once) Failed(_ uint64, _ uint32, _ message.Message, why error) {
	code := 0
	if known, ok := why.(*message.ResponseError); ok {
		code = known.Code
	}
	o.note(code)
}

func (o *once) note(code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes = append(o.codes, code)
}

// A message that nobody has received when the hyperty closes is refused, once; one that was received is delivered, once.
func TestClosedWhileAMessageWaits(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			hall := newHall(t)
			h := member(t, hall, "h")
			var first, second once
			for _, by := range []*once{&first, &second} {
				m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://example.com/x", To: h.URL()}
				if n, err := hall.listeners.Hand(t.Context(), h.URL(), m, minibus.Receipt{By: by}); n != 1 || err != nil {
					t.Fatal(n, err)
				}
			}
			if _, err := h.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until the second one waits
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if len(first.codes) != 1 || first.codes[0] != message.CodeOK || len(second.codes) != 1 || second.codes[0] != message.CodeNotFound {
				t.Errorf("of the one that was received %v, of the other %v", first.codes, second.codes)
			}
		})
	}
}
