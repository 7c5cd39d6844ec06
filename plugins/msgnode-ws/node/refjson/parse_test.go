package refjson

import (
	"strings"
	"testing"
)

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"id":1,"type":"create","from":"runtime://example.com/r-alice","to":["hyperty://example.com/x"],"body":{"via":"a://b"}}`))
	f.Add([]byte(`{"id":"3","type":"response","from":"connection://example.com/c1","to":"runtime://example.com/r-bob/sm","body":{"code":200}}`))
	f.Add([]byte(`{"cmd":"disconnect"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		Salvage(text)
		list, err := Parse(text)
		if err != nil {
			return
		}
		for _, m := range list {
			if err := m.Check(); err != nil {
				t.Fatalf("%q gave a message that fails its check: %v", text, err)
			}
		}
	})
}

// Lists are refused as soon as they exceed a bound, before they are read to the end.
func TestListsHaveBounds(t *testing.T) {
	for text, want := range map[string]bool{
		`[` + strings.Repeat(`"",`, maxNames-1) + `""]`: true,
		`[` + strings.Repeat(`"",`, maxNames) + `""]`:   false,
		`[` + strings.Repeat(`[],`, maxLists-2) + `[]]`: true,
		`[` + strings.Repeat(`[],`, maxLists) + `[]]`:   false,
		`[[[["x"]]]]`:   true,
		`[[[[["x"]]]]]`: false,
		`[{"x":1}]`:     false,
		`[1]`:           false,
	} {
		var l Names
		if err := l.UnmarshalJSON([]byte(text)); (err == nil) != want {
			t.Errorf("%.40s of %d bytes: %v", text, len(text), err)
		}
	}
}
