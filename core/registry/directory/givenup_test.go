package directory

import (
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// An address that was given up is remembered for a while and no longer, and their number is bounded.
func TestGivenUpIsForgotten(t *testing.T) {
	var g givenUp
	now := time.Now()
	const x, runtime message.URL = "hyperty://example.com/x", "hyperty-runtime://example.com/r"
	g.add(x, runtime, true, now)
	of := func(runtime message.URL, now time.Time) bool {
		its, led := g.of(x, runtime, now)
		if its != led {
			t.Error("it led there as long as it was its own")
		}
		return its
	}
	if !of(runtime, now.Add(endedTime-1)) || of(runtime, now.Add(endedTime)) || of("hyperty-runtime://example.com/s", now) {
		t.Error("not for its runtime, or not for its time")
	}
	for n := range 3 * maxEnded {
		g.add(message.URL(fmt.Sprintf("hyperty://example.com/%d", n)), runtime, true, now)
		if len(g.young)+len(g.old) > maxEnded {
			t.Fatalf("%d are kept", len(g.young)+len(g.old))
		}
	}
	if of(runtime, now) {
		t.Error("the oldest is kept")
	}
}
