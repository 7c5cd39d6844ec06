package wire

import "testing"

// Records are found among messages, in their order, also behind messages whose routing is that of one before.
func TestEachRecord(t *testing.T) {
	one, other := Claim{Address: "hyperty://a.example/1"}.Record(), Claim{Address: "hyperty://a.example/2", Ended: true}.Record()
	items := append([]byte{5 << 1, 2, 'r', 'r', 'o', 'w', 'n'}, RecordForm)
	items = append(append(items, one...), 3<<1|ShortForm, 'o', 'w', 'n', RecordForm)
	items = append(items, other...)
	var got []string
	EachRecord(items, 0, func(record []byte) { got = append(got, string(record)) })
	if len(got) != 2 || got[0] != string(one) || got[1] != string(other) {
		t.Errorf("%q", got)
	}
	if e, err := Measure(items, 0); err != nil || e.Records != 2 || e.Count != 4 {
		t.Errorf("%+v, %v", e, err)
	}
}
