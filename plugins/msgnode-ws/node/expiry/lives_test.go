package expiry

import (
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// What the node made for a process that has crashed is freed when a later process of the runtime has long been there and has not
// asked for it again. Names, what has a live entry, and what has another key stay.
func TestAddressesOfEarlierLivesAreFreed(t *testing.T) {
	w := begin(t, limits.Defaults())
	give := func(name, key string, wished bool) {
		t.Helper()
		u := message.URL("hyperty://example.com/" + name)
		err := w.o.State.Allocations.Change(t.Context(), state.AddressKey(u), func(*state.Allocation) (*state.Allocation, error) {
			return &state.Allocation{Runtime: stays, Address: u, Key: key, Wished: wished, Since: w.now, Seen: w.now}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	there := func(name string) bool { return w.o.State.Owner(message.URL("hyperty://example.com/"+name)) == stays }
	give("crashed", "life-1", false)
	give("resumed", "life-1", false)
	give("used", "life-1", false)
	give("name", "life-1", true)
	give("block", "other", false)
	w.later(time.Hour)
	if !there("crashed") {
		t.Fatal("an address of the present life is freed")
	}
	w.entry("used", stays, state.Live)
	give("new", "life-2", false)
	give("resumed", "life-2", false)
	w.later(0)
	for range 3 { // that the present one is given more addresses makes it no younger
		w.later(lifeGrace / 3)
		give("new", "life-2", false)
	}
	if w.later(0); !there("crashed") {
		t.Error("freed too early")
	}
	w.later(1)
	for name, want := range map[string]bool{"crashed": false, "resumed": true, "used": true, "name": true, "block": true, "new": true} {
		if there(name) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
}
