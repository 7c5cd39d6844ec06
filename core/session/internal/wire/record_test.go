package wire

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/protofly/protofly/sdk/message"
)

// FuzzAnnouncement: a record is an announcement of exactly one address, or none.
func FuzzAnnouncement(f *testing.F) {
	f.Add(Claim{Address: "hyperty://a.example/x"}.Record())
	f.Add(Claim{Address: "hyperty://a.example/x", Ended: true}.Record())
	f.Add([]byte{RecordAnnounce, 0})
	f.Add(binary.AppendUvarint([]byte{RecordAnnounce}, 1<<40))
	f.Add(Claim{Address: message.URL("hyperty://a.example/" + strings.Repeat("x", message.MaxURL))}.Record())
	f.Fuzz(func(t *testing.T, record []byte) {
		c, ok := ParseClaim(record)
		if !ok {
			return
		}
		if _, err := message.ParseURL(string(c.Address)); err != nil || len(c.Address) > message.MaxURL {
			t.Errorf("%q is announced: %v", c.Address, err)
		}
		if again, ok := ParseClaim(c.Record()); !ok || again != c {
			t.Errorf("%v becomes %v", c, again)
		}
	})
}

// FuzzReport reads records as reports: nothing panics, and what is read is what the session's rules allow.
func FuzzReport(f *testing.F) {
	f.Add([]byte{RecordTaken, 11, 0, 0, 0, 0, 0, 0, 0, 1, 200, 1, 1})
	f.Add([]byte{RecordTaken, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0xc8, 1, 1, 1})
	f.Add([]byte{7, 1, 1})
	f.Fuzz(func(t *testing.T, record []byte) {
		_, code, spans, ok, err := ParseReport(record)
		if !ok || err != nil {
			return
		}
		if code < 200 || code > 999 {
			t.Fatalf("code %d", code)
		}
		for last := uint64(0); len(spans) > 0; {
			var sp Span
			if sp, spans, err = NextSpan(spans, last); err != nil {
				return
			}
			if sp.A == 0 || sp.A < last || sp.B <= sp.A || sp.B > MaxNumber {
				t.Fatalf("span %+v after %d", sp, last)
			}
			last = sp.B
		}
	})
}

// FuzzRefusal is FuzzReport for refusals: what is read is bounded, and is read again from what is written.
func FuzzRefusal(f *testing.F) {
	record, _ := AppendRefusal(nil, 5, 404, "it has gone", []Span{{1, 3}, {7, 8}})
	f.Add(record)
	f.Add([]byte{RecordRefused, 12, 0, 0, 0, 0, 0, 0, 0, 1, 0x94, 3, 40, 1})
	f.Add([]byte{RecordTaken, 11, 0, 0, 0, 0, 0, 0, 0, 1, 200, 1, 1})
	f.Fuzz(func(t *testing.T, record []byte) {
		to, code, why, rest, ok, err := ParseRefusal(record)
		if !ok || err != nil {
			return
		}
		if code < 300 || code > 999 || !utf8.ValidString(why) || len(why) > MaxWhy && utf8.ValidString(string(record)) {
			t.Fatalf("%d %q", code, why)
		}
		var spans []Span
		for last := uint64(0); len(rest) > 0; last = spans[len(spans)-1].B {
			sp, more, err := NextSpan(rest, last)
			if err != nil {
				return
			}
			spans, rest = append(spans, sp), more
		}
		again, n := AppendRefusal(nil, to, code, why, spans)
		if to2, code2, why2, _, ok, err := ParseRefusal(again); n == len(spans) && len(why) <= MaxWhy && (!ok || err != nil || to2 != to || code2 != code || why2 != why) {
			t.Fatalf("%d %d %q, %v, %v", to2, code2, why2, ok, err)
		}
	})
}
