package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// FuzzItems reads items as a receiver does: the sizes agree with each other wherever reading begins, and what is read is
// what a complete form of each message says.
func FuzzItems(f *testing.F) {
	var packed []byte
	for n := range uint64(4) {
		m := message.Message{ID: message.NumberID(n / 2), Type: message.Update, From: "hyperty://a.example/x", To: "hyperty://b.example/y", Body: []byte(`{"text":"twenty bytes of it"}`), P2P: message.Tristate(n / 2)}
		if n%2 == 0 {
			packed = binary.AppendUvarint(packed, uint64(m.RoutingSize()+m.OwnSize())<<1)
			packed = m.AppendRouting(binary.AppendUvarint(packed, uint64(m.RoutingSize())))
		} else {
			packed = binary.AppendUvarint(packed, uint64(m.OwnSize())<<1|ShortForm)
		}
		packed = append(m.AppendOwnHead(packed), m.Body...)
		packed = append(packed, RecordForm, RecordTaken, 1, 1)
	}
	if e, err := Measure(packed, 0); err != nil || e.Count != 8 || e.Records != 4 {
		f.Fatalf("%+v, %v", e, err)
	}
	f.Add(packed, uint8(1))
	f.Add([]byte{ShortForm}, uint8(0))
	f.Add(binary.AppendUvarint([]byte{4, 1, 3, 8}, MaxMessage<<1|ShortForm), uint8(0))
	f.Fuzz(func(t *testing.T, items []byte, n uint8) {
		all, err := Measure(items, 0)
		if err != nil {
			return
		}
		routing, rest := Skip(items, uint64(n))
		left, err := Measure(rest, len(routing))
		if err != nil || left.Count != all.Count-min(all.Count, uint64(n)) || left.Size > all.Size || left.Records > all.Records || all.Size > MaxMessage {
			t.Fatalf("%+v, after %d: %+v, %v", all, n, left, err)
		}
		var parser message.Parser
		parser.Routing(routing)
		before := routing
		for len(rest) > 0 {
			var p Item
			p, rest, _ = Cut(rest, len(before))
			if p.Size == 0 {
				continue
			}
			if p.Routing != nil {
				before = p.Routing
				parser.Routing(before)
			}
			got, err := parser.Own(p.Own)
			if err != nil {
				continue
			}
			want, err := message.ParseBinary(append(append([]byte(nil), before...), p.Own...))
			if err != nil || !bytes.Equal(got.AppendBinary(nil), want.AppendBinary(nil)) {
				t.Fatalf("%s, want %s, %v", fmt.Sprint(got), fmt.Sprint(want), err)
			}
		}
	})
}
