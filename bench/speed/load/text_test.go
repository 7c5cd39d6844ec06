package load

import (
	"encoding/json"
	"testing"
)

func TestText(t *testing.T) {
	for _, size := range []int{MinSize, MinSize + 1, 100, 1 << 10, 256 << 10} {
		b := Text(Ping, 1234567890123456789, size)
		if len(b) != size || !json.Valid(b) {
			t.Errorf("%d bytes instead of %d: %s", len(b), size, b[:MinSize])
		}
		if kind, number, err := Parse(b); kind != Ping || number != 1234567890123456789 || err != nil {
			t.Errorf("%c %d %v", kind, number, err)
		}
	}
	var text struct{ K, N string }
	if err := json.Unmarshal(Text(Count, 7, MinSize), &text); err != nil || text.K != "c" || text.N != "0000000000000000007" {
		t.Errorf("%+v, %v", text, err)
	}
	for _, b := range [][]byte{nil, Text(Data, 0, MinSize)[:MinSize-1], make([]byte, 100), []byte(head + "00000000000000000x7" + tail + closing)} {
		if _, _, err := Parse(b); err == nil {
			t.Errorf("%q was read", b)
		}
	}
}

// Text makes a JSON object of the size, and Parse reads it.
func FuzzText(f *testing.F) {
	f.Add(byte(Data), uint64(0), 100)
	f.Add(byte(Echo), uint64(9_999_999_999_999_999_999), MinSize)
	f.Fuzz(func(t *testing.T, kind byte, number uint64, size int) {
		if kind < 'a' || kind > 'z' || number >= 1e19 || size < MinSize || size > maxSize {
			t.Skip()
		}
		b := Text(kind, number, size)
		if len(b) != size || !json.Valid(b) {
			t.Fatalf("%d bytes, wanted %d: %q", len(b), size, b)
		}
		if k, n, err := Parse(b); k != kind || n != number || err != nil {
			t.Fatalf("%c %d %v, wanted %c %d", k, n, err, kind, number)
		}
	})
}

// Whatever comes, a receiver's answers can be read, and it answers only requests.
func FuzzParse(f *testing.F) {
	f.Add(Text(Data, 3, 100))
	f.Add(Text(End, 1, MinSize))
	f.Add(Text(Ping, 1, 1000))
	f.Add([]byte(`{"k":"p","n":"12"}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, number, err := Parse(b)
		reply := NewReply()(b)
		if (reply != nil) != (err == nil && (kind == Ping || kind == End)) {
			t.Fatalf("%q was answered with %q", b, reply)
		}
		if reply == nil {
			return
		}
		k, n, err := Parse(reply)
		if err != nil || kind == Ping && (k != Echo || n != number || len(reply) != len(b)) || kind == End && (n != 0 || (k == Count) != (number == 0)) {
			t.Fatalf("%q was answered with %q: %v", b, reply, err)
		}
	})
}
