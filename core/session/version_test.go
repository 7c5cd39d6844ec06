package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnotherVersion: a frame of another version is told once in a while, with both versions and who is to be upgraded;
// noise is not.
func TestAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{}, nil)
		frame := func(v byte) []byte { return append([]byte{v}, make([]byte, 100)...) }
		for range 100 {
			p.a.Receive(t.Context(), bob, relay, frame(0))
			p.a.Receive(t.Context(), bob, relay, frame(200))
			p.a.Receive(t.Context(), bob, relay, frame(2))
		}
		time.Sleep(time.Minute)
		p.a.Receive(t.Context(), bob, relay, frame(5))
		e := p.events(Version)
		if len(e) != 2 || e[0].Remote != bob || e[0].Path != relay || !strings.Contains(e[0].Why, "version 2 ") ||
			!strings.Contains(e[0].Why, "version 4") || !strings.Contains(e[0].Why, "upgrade "+string(bob)) ||
			!strings.Contains(e[1].Why, "upgrade this runtime") {
			t.Errorf("events %+v", e)
		}
		if st := p.a.Snapshot(); len(st) != 0 {
			t.Errorf("a session was made: %+v", st)
		}
		p.close(t)
	})
}
