package refjson

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// flat reads names by the standard library: slowly, and without a limit.
func flat(value any) (list Names, ok bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return Names{v}, true
	case []any:
		for _, one := range v {
			more, ok := flat(one)
			if !ok {
				return nil, false
			}
			list = append(list, more...)
		}
		return list, true
	}
	return nil, false
}

// Names are read as the standard library reads them, or refused.
func FuzzNames(f *testing.F) {
	for _, s := range []string{`"a"`, `["a","b\"c",null]`, `[["ä\n"],"\ud800"]`, `null`, `[]`, `{"a":"b"}`, `[1]`, `["a",true]`, "[\"\xff\"]", `"`, `["\"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var l Names
		if l.UnmarshalJSON(text) == nil && len(l) > maxNames { // arbitrary text neither panics nor makes too long a list
			t.Errorf("%d names", len(l))
		}
		var value any
		if json.Unmarshal(text, &value) != nil {
			return
		}
		want, ok := flat(value)
		switch err := json.Unmarshal(text, &l); {
		case err == nil && !ok:
			t.Errorf("%q is read as %q", text, l)
		case err == nil && !slices.Equal(l, want):
			t.Errorf("%q is read as %q, not %q", text, l, want)
		case err != nil && ok && !strings.Contains(err.Error(), "lists in lists") && !strings.Contains(err.Error(), "more than"):
			t.Errorf("%q: %v", text, err)
		}
	})
}

func BenchmarkNames(b *testing.B) {
	list := make([]string, 3000)
	for i := range list {
		list[i] = fmt.Sprintf("comm://example.com/o%d", i)
	}
	text, _ := json.Marshal(map[string]any{"resource": list})
	b.ReportAllocs()
	for b.Loop() {
		var body struct{ Resource Names }
		if err := json.Unmarshal(text, &body); err != nil || len(body.Resource) != len(list) {
			b.Fatal(err)
		}
	}
}
