package object

import (
	"encoding/json"
	"errors"
	"testing"
)

// There is a path to every key; it is escaped only where it has to be.
func TestPath(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"a"}, "a"}, {[]string{"a", "b", "0"}, "a.b.0"}, {[]string{`a\b`, "c"}, `a\b.c`},
		{[]string{"a.b"}, `.a\.b`}, {[]string{"m", "1.0", "x"}, `.m.1\.0.x`}, {[]string{""}, "."}, {[]string{"a", ""}, ".a."}, {[]string{"", "a"}, "..a"},
		{[]string{"."}, `.\.`}, {[]string{`\.`, `\`}, `.\\\..\\`}, {[]string{"user://a.b/c", "d"}, `.user://a\.b/c.d`}, {[]string{"user://a"}, ".user://a"},
	} {
		path := Path(c.keys...)
		if path != c.want {
			t.Errorf("%q: %s, want %s", c.keys, path, c.want)
		}
		d, err := Document{}.Apply(Document{}.Replacement(path, json.RawMessage("7")))
		if err != nil {
			t.Errorf("%q: %v", c.keys, err)
			continue
		}
		var v any
		if err := json.Unmarshal(d.JSON(), &v); err != nil {
			t.Fatal(err)
		}
		for _, key := range c.keys {
			at, _ := v.(map[string]any)
			v = at[key]
		}
		if v != 7.0 {
			t.Errorf("%q: %s", c.keys, d.JSON())
		}
		if got, ok := d.Lookup(path); !ok || string(got) != "7" {
			t.Errorf("%q: found %s", c.keys, got)
		}
		if d, err = d.Apply(d.Removal(path)); err != nil {
			t.Errorf("%q: removed: %v", c.keys, err)
		}
		if has, err := d.Has(path); has || err != nil {
			t.Errorf("%q: after the removal %s, %v", c.keys, d.JSON(), err)
		}
	}
	for _, path := range []string{`.a\b`, `.a\`, ".\xff"} {
		if _, err := (Document{}).Apply(Change{Attribute: path, Value: json.RawMessage("1")}); !errors.Is(err, ErrPath) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// An escaped dot before a number is no array's.
func TestEscapedPathsInArrays(t *testing.T) {
	d := parse(t, `{"l":[1],"l.0":[[2]],"\\":[3]}`)
	for _, c := range []struct {
		got  Change
		want string
	}{
		{d.Replacement(`.l.0`, json.RawMessage("7")), `{"\\":[3],"l":[7],"l.0":[[2]]}`},
		{d.Replacement(`.l\.0`, json.RawMessage("7")), `{"\\":[3],"l":[1],"l.0":7}`},
		{d.Replacement(`.l\.0.0.0`, json.RawMessage("7")), `{"\\":[3],"l":[1],"l.0":[[7]]}`},
		{d.Removal(`.\\.0`), `{"\\":[],"l":[1],"l.0":[[2]]}`},
		{d.Addition(`.l\.0.0`, json.RawMessage("7")), `{"\\":[3],"l":[1],"l.0":[[2,7]]}`},
		{Change{Attribute: `.l\.0`, Type: Array, Operation: Add, Value: json.RawMessage(`[7,8]`)}, `{"\\":[3],"l":[1],"l.0":[[2],7,8]}`},
		{d.Addition(`.new\.`, json.RawMessage("7")), `{"\\":[3],"l":[1],"l.0":[[2]],"new.":[7]}`},
	} {
		next, err := d.Apply(c.got)
		if err != nil || string(next.JSON()) != c.want {
			t.Errorf("%+v: %s, %v, want %s", c.got, next.JSON(), err, c.want)
		}
	}
}

// What is not there cannot be removed, and nothing is made on the way to it.
func TestRemovalOfNothing(t *testing.T) {
	for _, text := range []string{`{}`, `{"a":null}`, `{"a":{}}`, `{"l":[null]}`} {
		for _, path := range []string{"b", "a.b", "a.b.c", "b.c.d", "l.0.a.b", `.a.b\.c`} {
			d := parse(t, text)
			if path[0] == 'l' && len(text) < 10 {
				continue
			}
			next, err := d.Apply(d.Removal(path))
			if err != nil || string(next.JSON()) != text {
				t.Errorf("%s without %s: %s, %v", text, path, next.JSON(), err)
			}
			if again := parse(t, string(next.JSON())); !again.Equal(next) || again.Size() != next.Size() {
				t.Errorf("%s without %s is another one when it is read again", text, path)
			}
		}
	}
	if _, err := (Document{}).Has("a..b"); !errors.Is(err, ErrPath) {
		t.Errorf("a path with an empty element: %v", err)
	}
}

// No change makes a document that cannot be read.
func TestDepthOfElements(t *testing.T) {
	deep := func(levels int) string {
		text := "1"
		for range levels {
			text = "[" + text + "]"
		}
		return text
	}
	for levels := 58; levels <= 66; levels++ {
		for _, c := range []Change{
			{Attribute: "l.0", Type: Array, Operation: Add, Value: json.RawMessage(deep(levels))},
			{Attribute: "l.0", Type: Array, Value: json.RawMessage(deep(levels))},
			{Attribute: "o", Value: json.RawMessage(deep(levels))},
		} {
			d, err := parse(t, `{"l":[0]}`).Apply(c)
			if err != nil {
				continue
			}
			if _, err := Parse(d.JSON()); err != nil {
				t.Errorf("%d levels, %s %q: %v", levels, c.Attribute, c.Operation, err)
			}
		}
	}
}

func TestItemsOfRemovals(t *testing.T) {
	c := Change{Attribute: "l.3", Type: Array, Operation: Remove, Value: json.RawMessage("3")}
	if items := c.Items(); len(items) != 3 || items[2].Attribute != "l.3" || string(items[2].Value) != "1" || items[0].Operation != Remove {
		t.Errorf("items %+v", items)
	}
	c = Change{Attribute: "l.3", Type: Array, Operation: Add, Value: json.RawMessage("null")} // an element as well
	if items := c.Items(); len(items) != 1 || string(items[0].Value) != "null" {
		t.Errorf("items %+v", items)
	}
	for attribute, want := range map[string]string{
		"childrenObjects.hyperty://a.b/c#x": "hyperty://a.b/c#x", "childrenObjects.hyperty://a.b/c#x.value.n": "hyperty://a.b/c#x",
		`.childrenObjects.hyperty://a\.b/c#x.value.n\.m`: "hyperty://a.b/c#x", "childrenObjects": "", "a.childrenObjects.x#y": "", ".": "", "": "",
		ChildAttribute("hyperty://a.b/c#x", ""): "hyperty://a.b/c#x", ChildAttribute("hyperty://a.b/c#x", "n.m"): "hyperty://a.b/c#x",
		ChildAttribute("hyperty://a.b/c#x", Path("n.m")): "hyperty://a.b/c#x",
	} {
		if got := ChildOf(attribute); got != want {
			t.Errorf("%s: the child %s, want %s", attribute, got, want)
		}
	}
	for attribute, want := range map[string]bool{"childrenObjects": true, ".childrenObjects": true, "childrenObjects.x": true, "children": false, "a.childrenObjects": false, "": false} {
		if IsChildren(attribute) != want {
			t.Errorf("%q: %v", attribute, !want)
		}
	}
}
