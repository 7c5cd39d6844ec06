package bus_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// What nobody listens to passes by this runtime, and Joined tells when that may have changed.
func TestPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(&outside{})
		defer b.Close()
		nothing := func(context.Context, message.Message) {}
		for name, join := range map[string]func() func(){
			"listener":       func() func() { return b.Listen(bob, nothing) },
			"listener apart": func() func() { return b.ListenApart(bob, func(context.Context, message.Message, minibus.Receipt) {}) },
			"subscriber":     func() func() { return b.Forward(bob, away) },
		} {
			before := b.Joined()
			if !b.Passed(bob) {
				t.Errorf("%s: %s does not pass before anybody has joined", name, bob)
			}
			stop := join()
			if b.Joined() == before || b.Passed(bob) {
				t.Errorf("%s: not noticed", name)
			}
			stop()
			if !b.Passed(bob) {
				t.Errorf("%s: %s does not pass when nobody listens any more", name, bob)
			}
		}
		if b.Passed(home + "/sm") {
			t.Error("the address of one of this runtime's components passes")
		}
	})
}
