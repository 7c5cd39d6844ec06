package minibus_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// remotes makes receipts as sessions do: those of each have its number.
func receiptOf(source uint32, by minibus.Taker) minibus.Receipt {
	return minibus.Receipt{By: by, Cost: 100, Source: source}
}

// A session that has filled a listener's inbox does not have another one's message wait for all of it.
func TestInboxIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := minibus.NewListeners(0)
		defer l.Close()
		gate := make(chan struct{})
		place, n := 0, 0
		l.ListenTaking(alice, func(_ context.Context, m message.Message, r minibus.Receipt) {
			<-gate
			if n++; m.From == bob {
				place = n
			}
			r.Taken()
		})
		hand := func(from message.URL, source uint32) bool {
			_, full := l.HandNow(alice, message.Message{Type: message.Update, From: from, To: alice}, receiptOf(source, new(settled)), nil)
			return !full
		}
		for hand("hyperty://a.example/mallory", 1) {
		}
		if !hand(bob, 2) {
			t.Error("no place for bob's message")
		}
		close(gate)
		synctest.Wait()
		if place == 0 || place > 600 {
			t.Errorf("bob's message was number %d of %d", place, n)
		}
	})
}
