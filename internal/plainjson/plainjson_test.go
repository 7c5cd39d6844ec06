package plainjson

import (
	"encoding/json"
	"testing"
)

func TestMarshal(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"a<b>&c", `"a<b>&c"`},
		{`\u003c`, `"\\u003c"`},
		{"\\<", `"\\<"`},
		{"\x01<\"", `"\u0001<\""`},
		{"plain", `"plain"`},
		{json.RawMessage(`{"x": "\u003C\u0026\\u003e"}`), `{"x":"<&\\u003e"}`},
		{map[string]string{"<": "ä"}, `{"<":"ä"}`},
	} {
		got, err := Marshal(c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %s, %v; want %s", c.value, got, err, c.want)
		}
		var back, straight any
		raw, _ := json.Marshal(c.value)
		_, _ = json.Unmarshal(got, &back), json.Unmarshal(raw, &straight)
		if a, b := back, straight; !same(a, b) {
			t.Errorf("%v became %v", b, a)
		}
	}
	if _, err := Marshal(func() {}); err == nil {
		t.Error("a function is JSON")
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// FuzzMarshal: any text comes back as it was.
func FuzzMarshal(f *testing.F) {
	f.Add(`\u003c<\\`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Marshal(text)
		var back, straight string
		raw, _ := json.Marshal(text)
		if err != nil || json.Unmarshal(got, &back) != nil || json.Unmarshal(raw, &straight) != nil || back != straight {
			t.Errorf("%q became %q: %v", straight, back, err)
		}
	})
}
