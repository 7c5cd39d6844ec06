package hyperty

import (
	"fmt"
	"testing"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

func TestWindow(t *testing.T) {
	var w window
	slow, other := destination{url: "hyperty://example.com/slow"}, destination{url: "hyperty://example.com/other"}
	const cost = 100
	var out []receipt
	for w.room(w.by(slow), cost) {
		by := w.by(slow)
		w.take(by, cost)
		out = append(out, receipt{cost: cost, by: by})
		if len(out) > 1<<20 {
			t.Fatal("one destination has no bound")
		}
	}
	if !w.room(w.by(other), cost) || !w.room(w.by(destination{url: slow.url, response: true}), cost) {
		t.Error("one destination takes the room of others")
	}
	if !apiwire.Room(w.used, 0, cost) || *w.by(slow) != cost*len(out) {
		t.Errorf("%d units in all, %d to the slow one, and %d were taken", w.used, *w.by(slow), cost*len(out))
	}
	for n := range 10 * maxIdle { // those with nothing on the way are forgotten, the others are not
		w.by(destination{url: message.URL(fmt.Sprint("hyperty://example.com/", n))})
	}
	if len(w.usedBy) > maxIdle+1 {
		t.Errorf("%d destinations are remembered", len(w.usedBy))
	}
	for _, r := range out {
		w.free(r)
	}
	if w.used != 0 || *w.by(slow) != 0 || !w.room(w.by(slow), cost) {
		t.Errorf("%d units are left, %d to the slow one", w.used, *w.by(slow))
	}
}
