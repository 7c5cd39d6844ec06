package minibus_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// What waits for a listener that ends has failed at once, although its handler does not return: also what the handler's goroutine has
// taken out of the queue already, in one block or many.
func TestStopDoesNotWaitForTheHandler(t *testing.T) {
	for _, count := range []int{1, 2, 9, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			l := minibus.NewListeners(0)
			gate := make(chan struct{})
			stop := l.Listen(alice, func(context.Context, message.Message) { <-gate })
			n := newNotary()
			for i := range uint64(count) + 1 {
				r := minibus.Receipt{By: n, Number: i, Cost: 1}
				if taken, err := l.Hand(t.Context(), alice, message.Message{To: alice}, r); taken != 1 || err != nil {
					t.Fatal(taken, err)
				}
				synctest.Wait()
			}
			gate <- struct{}{} // the first; the others are taken out together
			synctest.Wait()
			stop()
			if settled, failed, twice := n.state(); settled != 1 || failed != count-1 || twice {
				t.Errorf("of %d: %d settled, %d failed, twice %v", count, settled, failed, twice)
			}
			close(gate)
			synctest.Wait()
			if settled, failed, twice := n.state(); settled != 2 || failed != count-1 || twice {
				t.Errorf("of %d, at the end: %d settled, %d failed, twice %v", count, settled, failed, twice)
			}
			l.Close()
		})
	}
}
