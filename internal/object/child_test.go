package object

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// An id that passes the checks is one key of the data, which nothing else reads or writes.
func FuzzChildID(f *testing.F) {
	f.Add("hyperty://a.example/bob#1", "hyperty://a.example/bob")
	f.Add("hyperty://a.example/bob#1.value", "hyperty://a.example/bob")
	f.Add("a.b#c", "a.b")
	f.Fuzz(func(t *testing.T, id, reporter string) {
		url, err := message.ParseURL(reporter)
		if err != nil || CheckChildID(id, url) != nil || strings.Contains(reporter, "#") {
			return
		}
		at := ChildrenAttribute + "." + id
		d, err := Document{}.Apply(Document{}.Replacement(at, []byte(`{"name":"x","value":{"n":1}}`)))
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := d.Child(id); !ok || c.Name != "x" || len(d.Children()) != 1 {
			t.Fatalf("%q by %q: %s", id, reporter, d.JSON())
		}
		for _, attribute := range []string{at, at + ".value", at + ".value.n"} {
			if got := ChildOf(attribute); got != id {
				t.Fatalf("%q is of child %q", attribute, got)
			}
		}
	})
}

func TestNamesOfChildren(t *testing.T) {
	for _, name := range []string{"", "a/b", "a b", "ä", strings.Repeat("x", 65)} {
		if CheckNames([]string{name}) == nil {
			t.Errorf("%q is a name", name)
		}
	}
	if err := CheckNames([]string{"chat", "Files-2.x_y"}); err != nil {
		t.Error(err)
	}
	if CheckNames(make([]string, MaxNames+1)) == nil {
		t.Error("any number of names")
	}
}
