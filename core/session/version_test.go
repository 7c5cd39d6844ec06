package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
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

// FuzzReport reads records as reports: nothing panics, and what is read is what the session's rules allow.
func FuzzReport(f *testing.F) {
	f.Add([]byte{wire.RecordTaken, 11, 0, 0, 0, 0, 0, 0, 0, 1, 200, 1, 1})
	f.Add([]byte{wire.RecordTaken, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0xc8, 1, 1, 1})
	f.Add([]byte{7, 1, 1})
	f.Fuzz(func(t *testing.T, record []byte) {
		_, code, spans, ok, err := wire.ParseReport(record)
		if !ok || err != nil {
			return
		}
		if code < 200 || code > 999 {
			t.Fatalf("code %d", code)
		}
		for last := uint64(0); len(spans) > 0; {
			var sp wire.Span
			if sp, spans, err = wire.NextSpan(spans, last); err != nil {
				return
			}
			if sp.A == 0 || sp.A < last || sp.B <= sp.A || sp.B > wire.MaxNumber {
				t.Fatalf("span %+v after %d", sp, last)
			}
			last = sp.B
		}
	})
}
