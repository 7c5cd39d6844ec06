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
	g.add(x, runtime, now)
	if !g.of(x, runtime, now.Add(endedTime-1)) || g.of(x, runtime, now.Add(endedTime)) || g.of(x, "hyperty-runtime://example.com/s", now) {
		t.Error("not for its runtime, or not for its time")
	}
	for n := range 3 * maxEnded {
		g.add(message.URL(fmt.Sprintf("hyperty://example.com/%d", n)), runtime, now)
		if len(g.young)+len(g.old) > maxEnded {
			t.Fatalf("%d are kept", len(g.young)+len(g.old))
		}
	}
	if g.of(x, runtime, now) {
		t.Error("the oldest is kept")
	}
}
