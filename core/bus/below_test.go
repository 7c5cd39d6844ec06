package bus_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// A hyperty gets the messages to addresses below its own, but not those that somebody else listens to or that are for subscribers; a
// component of the runtime gets none but its own.
func TestAddressesBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		got := map[message.URL]message.URL{}
		hyperty := func(at message.URL) minibus.TakingHandler {
			return func(_ context.Context, m message.Message, r minibus.Receipt) {
				got[m.To] = at
				r.Taken()
			}
		}
		const ephemeral = home + "/hyperty/7"
		b.ListenApart(alice, hyperty(alice))
		b.ListenApart(ephemeral, hyperty(ephemeral))
		component := func(at message.URL) {
			b.Listen(at, func(_ context.Context, m message.Message) { got[m.To] = at })
		}
		component(alice + "/taken")
		component("comm://example.com/o")
		component(home + "/sm")
		for to, want := range map[message.URL]message.URL{
			alice:               alice,
			alice + "/desk":     alice,
			alice + "/desk/1/2": alice,
			alice + "/taken":    alice + "/taken",
			alice + "/taken/1":  alice,
			alice + "/changes":  "",
			alice + "/x/status": "",
			alice + "s":         "",
			ephemeral:           ephemeral,
			ephemeral + "/desk": ephemeral,
			"runtime://example.com/home/hyperty/7/desk": ephemeral,
			ephemeral + "8":          "",
			home + "/hyperty/8/desk": "",
			home + "/sm":             home + "/sm",
			home + "/sm/x":           "",
			"comm://example.com/o/x": "",
		} {
			m := message.Message{ID: message.NumberID(1), Type: message.Update, From: bob, To: to}
			for name, arrives := range map[string]func(){
				"Accept":    func() { b.Accept(t.Context(), away, &minibus.Delivery{Message: m}) },
				"TryAccept": func() { b.TryAccept(away, []minibus.Delivery{{Message: m}}) },
				"Post":      func() { _ = b.Post(t.Context(), m) },
				"TryPost":   func() { _ = b.TryPost(m) },
			} {
				clear(got)
				arrives()
				synctest.Wait()
				if got[to] != want || b.Listened(to) != (want != "") {
					t.Errorf("%s: a message to %s comes to %q, want %q", name, to, got[to], want)
				}
			}
		}
	})
}
