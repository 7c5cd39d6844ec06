package object

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t testing.TB, text string) Document {
	t.Helper()
	d, err := Parse(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestApply(t *testing.T) {
	const add, remove = Add, Remove
	for _, c := range []struct {
		data   string
		change Change
		want   string // "" with err
		err    error
	}{
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(`1`)}, `{"a":1}`, nil},
		{`{"a":1}`, Change{Attribute: "a", Value: json.RawMessage(`null`)}, `{"a":null}`, nil},
		{`{"a":1,"b":2}`, Change{Attribute: "a"}, `{"b":2}`, nil},
		{`{"b":2}`, Change{Attribute: "a"}, `{"b":2}`, nil},
		{`{"a":{"b":1}}`, Change{Attribute: "a", Operation: remove, Type: "object", Value: json.RawMessage(`{}`)}, `{}`, nil},
		{`{"a":null}`, Change{Attribute: "a.b.c", Value: json.RawMessage(`"x"`)}, `{"a":{"b":{"c":"x"}}}`, nil},
		{`{}`, Change{Attribute: "a.b", Operation: add, Type: "object", Value: json.RawMessage(`[1]`)}, `{"a":{"b":[1]}}`, nil},
		{`{"a":"x"}`, Change{Attribute: "a.b", Value: json.RawMessage(`1`)}, ``, ErrPath},
		// arrays
		{`{"l":[]}`, Change{Attribute: "l.0", Type: Array, Operation: add, Value: json.RawMessage(`{"c":1}`)}, `{"l":[{"c":1}]}`, nil},
		{`{"l":[1,4]}`, Change{Attribute: "l.1", Type: Array, Operation: add, Value: json.RawMessage(`[2,3]`)}, `{"l":[1,2,3,4]}`, nil},
		{`{"l":[1]}`, Change{Attribute: "l.1", Type: Array, Operation: add, Value: json.RawMessage(`[[2]]`)}, `{"l":[1,[2]]}`, nil},
		{`{}`, Change{Attribute: "l.0", Type: Array, Operation: add, Value: json.RawMessage(`1`)}, `{"l":[1]}`, nil},
		{`{}`, Change{Attribute: "o.l.0", Type: Array, Operation: add, Value: json.RawMessage(`1`)}, `{"o":{"l":[1]}}`, nil},
		{`{"l":null}`, Change{Attribute: "l", Type: Array, Operation: add, Value: json.RawMessage(`1`)}, `{"l":[1]}`, nil},
		{`{"l":[1]}`, Change{Attribute: "l", Type: Array, Operation: add, Value: json.RawMessage(`2`)}, `{"l":[1,2]}`, nil},
		{`{"l":[1,2,3]}`, Change{Attribute: "l.1", Type: Array, Operation: remove, Value: json.RawMessage(`2`)}, `{"l":[1]}`, nil},
		{`{"l":[1,2,3]}`, Change{Attribute: "l.0", Type: Array, Operation: remove}, `{"l":[2,3]}`, nil},
		{`{"l":[1,2,3]}`, Change{Attribute: "l.0", Type: Array, Operation: remove, Value: json.RawMessage(`{"the":"element"}`)}, `{"l":[2,3]}`, nil},
		{`{"l":[1,2,3]}`, Change{Attribute: "l.0"}, `{"l":[2,3]}`, nil},
		{`{"l":[1,2]}`, Change{Attribute: "l.1", Type: Array, Value: json.RawMessage(`[9]`)}, `{"l":[1,[9]]}`, nil},
		{`{"l":[{"a":1}]}`, Change{Attribute: "l.0.a", Value: json.RawMessage(`2`)}, `{"l":[{"a":2}]}`, nil},
		{`{"l":[null]}`, Change{Attribute: "l.0.a", Value: json.RawMessage(`2`)}, `{"l":[{"a":2}]}`, nil},
		{`{"l":[1]}`, Change{Attribute: "l.2", Type: Array, Operation: add, Value: json.RawMessage(`2`)}, ``, ErrPath},
		{`{"l":[1]}`, Change{Attribute: "l.-1", Type: Array, Operation: add, Value: json.RawMessage(`2`)}, ``, ErrPath},
		{`{"l":[1]}`, Change{Attribute: "l.x", Value: json.RawMessage(`2`)}, ``, ErrPath},
		{`{"l":[1]}`, Change{Attribute: "l.0", Type: Array, Operation: remove, Value: json.RawMessage(`2`)}, ``, ErrPath},
		{`{"l":[1]}`, Change{Attribute: "l.0", Type: Array, Operation: remove, Value: json.RawMessage(`-1`)}, ``, ErrPath},
		// a description in parts, and as a whole
		{`{"connectionDescription":{}}`, Change{Attribute: "connectionDescription.sdp", Value: json.RawMessage(`"v=0"`)}, `{"connectionDescription":{"sdp":"v=0"}}`, nil},
		{`{}`, Change{Attribute: "connectionDescription.type", Value: json.RawMessage(`"offer"`)}, `{"connectionDescription":{"type":"offer"}}`, nil},
		{`{"connectionDescription":{"sdp":""}}`, Change{Attribute: "connectionDescription", Value: json.RawMessage(`{"sdp":"v=0","type":"offer"}`)}, `{"connectionDescription":{"sdp":"v=0","type":"offer"}}`, nil},
		// addresses as elements
		{`{"p":{}}`, Change{Attribute: "p.user://a.b/c.d", Value: json.RawMessage(`1`)}, `{"p":{"user://a.b/c.d":1}}`, nil},
		{`{"p":{"user://a.b/c":{}}}`, Change{Attribute: "p.user://a.b/c.d", Value: json.RawMessage(`1`)}, `{"p":{"user://a.b/c":{"d":1}}}`, nil},
		{`{"user://a.b/c":1}`, Change{Attribute: "user://a.b/c"}, `{}`, nil},
		// what is refused
		{`{}`, Change{Attribute: "", Value: json.RawMessage(`1`)}, ``, ErrPath},
		{`{}`, Change{Attribute: "a..b", Value: json.RawMessage(`1`)}, ``, ErrPath},
		{`{}`, Change{Attribute: "a.", Value: json.RawMessage(`1`)}, ``, ErrPath},
		{`{}`, Change{Attribute: strings.Repeat("a", MaxPath+1), Value: json.RawMessage(`1`)}, ``, ErrPath},
		{`{}`, Change{Attribute: strings.Repeat("a.", 100) + "a", Value: json.RawMessage(`1`)}, ``, ErrPath},
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(`{`)}, ``, ErrData},
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(`1 2`)}, ``, ErrData},
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(strings.Repeat("[", 64) + strings.Repeat("]", 64))}, ``, ErrTooLarge},
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(`"` + strings.Repeat("x", MaxData) + `"`)}, ``, ErrTooLarge},
		{`{}`, Change{Attribute: "a", Value: json.RawMessage(`"` + strings.Repeat(`\u0001`, MaxData/6) + `"`)}, ``, ErrTooLarge},
	} {
		d := parse(t, c.data)
		got, err := d.Apply(c.change)
		if !errors.Is(err, c.err) {
			t.Errorf("%s, %.60q: error %v, want %v", c.data, c.change.Attribute, err, c.err)
			continue
		}
		if err != nil {
			if string(got.JSON()) != string(d.JSON()) {
				t.Errorf("%s: a refused change left %s", c.data, got.JSON())
			}
			continue
		}
		if string(got.JSON()) != c.want {
			t.Errorf("%s, %+v: got %s, want %s", c.data, c.change, got.JSON(), c.want)
		}
		if string(d.JSON()) != string(parse(t, c.data).JSON()) {
			t.Errorf("%s: the document itself has changed: %s", c.data, d.JSON())
		}
		if again := parse(t, string(got.JSON())); again.Size() != got.Size() {
			t.Errorf("%s: size %d after the change, %d of the result", got.JSON(), got.Size(), again.Size())
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]error{
		``: nil, `{}`: nil, `{"n":1e400,"u":"\u2028é"}`: nil, `[]`: ErrData, `7`: ErrData, `null`: ErrData, `{`: ErrData, `{} {}`: ErrData,
		`{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`: nil,
		`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`: ErrTooLarge,
		`{"a":"` + strings.Repeat("x", MaxData) + `"}`:                    ErrTooLarge,
	} {
		d, err := Parse(json.RawMessage(text))
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("%.40s: error %v, want %v", text, err, want)
		}
		if err == nil && len(d.JSON()) > d.Size() {
			t.Errorf("%.40s: %d bytes of JSON, size %d", text, len(d.JSON()), d.Size())
		}
	}
}

func TestChangesOfADocument(t *testing.T) {
	d := parse(t, `{"l":[1,{"a":1}],"o":{"0":1}}`)
	for _, c := range []struct {
		got  Change
		want string
	}{
		{d.Addition("l", json.RawMessage(`3`)), `{"l":[1,{"a":1},3],"o":{"0":1}}`},
		{d.Addition("l", json.RawMessage(` [3]`)), `{"l":[1,{"a":1},[3]],"o":{"0":1}}`},
		{d.Addition("new", json.RawMessage(`3`)), `{"l":[1,{"a":1}],"new":[3],"o":{"0":1}}`},
		{d.Removal("l.0"), `{"l":[{"a":1}],"o":{"0":1}}`},
		{d.Removal("o.0"), `{"l":[1,{"a":1}],"o":{}}`},
		{d.Replacement("l.0", json.RawMessage(`[9]`)), `{"l":[[9],{"a":1}],"o":{"0":1}}`},
		{d.Replacement("o.0", json.RawMessage(`9`)), `{"l":[1,{"a":1}],"o":{"0":9}}`},
	} {
		next, err := d.Apply(c.got)
		if err != nil || string(next.JSON()) != c.want {
			t.Errorf("%+v: %s, %v, want %s", c.got, next.JSON(), err, c.want)
		}
	}
	if v, ok := d.Lookup("l.1.a"); !ok || string(v) != "1" {
		t.Errorf("lookup %s %v", v, ok)
	}
	for _, path := range []string{"x", "l.7", "l.x", "l.0.a", ""} {
		if v, ok := d.Lookup(path); ok {
			t.Errorf("lookup of %q: %s", path, v)
		}
	}
}

func TestItems(t *testing.T) {
	c := Change{Attribute: "l.3", Type: Array, Operation: Add, Value: json.RawMessage(`[1,[2]]`)}
	items := c.Items()
	if len(items) != 2 || items[0].Attribute != "l.3" || string(items[0].Value) != "1" || items[1].Attribute != "l.4" || string(items[1].Value) != "[2]" {
		t.Errorf("items %+v", items)
	}
	if one := (Change{Attribute: "a"}).Items(); len(one) != 1 || one[0].Operation != Remove {
		t.Errorf("removal %+v", one)
	}
}

func TestMetadataCheck(t *testing.T) {
	for _, m := range []Metadata{
		{Name: strings.Repeat("x", MaxName+1)}, {Resources: make([]string, MaxResources+1)}, {URL: "x"}, {Reporter: "hyperty://x"},
		{Childrens: []string{strings.Repeat("x", MaxName+1)}}, {Schema: "a b://c/d"},
	} {
		if err := m.Check(); !errors.Is(err, ErrMetadata) {
			t.Errorf("%.100v: %v", m, err)
		}
	}
	if err := (&Metadata{URL: "comm://a/b", Name: "n"}).Check(); err != nil {
		t.Error(err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(`{"l":[1,{"a":null}],"user://a.b/c":{"d":"e"}}`, "l.1.a.b", "", "", `{"x":[true]}`)
	f.Add(`{"l":[1]}`, "l.1", "array", "add", `[2,"\u0001"]`)
	f.Add(`{"l":[1,2,3]}`, "l.0", "array", "remove", `2`)
	f.Add(`{"user://a.b/c":{}}`, "user://a.b/c.d.e", "object", "add", `"<>\u2028"`)
	f.Add(``, "0", "array", "add", `[]`)
	f.Add(`{"&":"<>"}`, "<", "", "", `"&&&"`)
	f.Add(`{}`, "a.b.0", "array", "add", `1e999`)
	f.Add(`{"\u2028\ufffd":"`+"\xff"+`"}`, "\xff", "", "", `"x"`)
	f.Fuzz(func(t *testing.T, data, attribute, kind, operation, value string) {
		d, err := Parse(json.RawMessage(data))
		if err != nil {
			return
		}
		before := string(d.JSON())
		next, err := d.Apply(Change{Attribute: attribute, Type: kind, Operation: Operation(operation), Value: json.RawMessage(value)})
		if string(d.JSON()) != before {
			t.Fatalf("the document has changed from %s to %s", before, d.JSON())
		}
		text := next.JSON()
		if err != nil && string(text) != before {
			t.Fatalf("a refused change left %s", text)
		}
		if len(text) > next.Size() || next.Size() > MaxData {
			t.Fatalf("%d bytes of JSON, size %d: %s", len(text), next.Size(), text)
		}
		if escaped, err := json.Marshal(text); err != nil || len(escaped) > next.Size() {
			t.Fatalf("%d bytes of escaped JSON, size %d: %s, %v", len(escaped), next.Size(), escaped, err)
		}
		whole, err := Parse(text)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", text, err)
		}
		if whole.Size() != next.Size() || whole.Hash() != next.Hash() {
			t.Fatalf("size %d and hash %s, should be %d and %s: %s", next.Size(), next.Hash(), whole.Size(), whole.Hash(), text)
		}
		for _, item := range (Change{Attribute: attribute, Type: kind, Operation: Operation(operation), Value: json.RawMessage(value)}).Items() {
			next.Lookup(item.Attribute)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	d := parse(b, `{"connectionDescription":{"type":"offer"},"iceCandidates":[1,2,3,4,5,6,7,8]}`)
	c := d.Addition("iceCandidates", json.RawMessage(`{"candidate":"x"}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Apply(c); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParseWhole(f *testing.F) {
	f.Add(`{"url":"comm://a/b","reporter":"hyperty://a/c","version":4,"childrens":["x"],"data":{"n":1}}`)
	f.Add(`{"version":-1}`)
	f.Add(`{"resources":["` + strings.Repeat("x", 300) + `"]}`)
	f.Add(`{"data":[]}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		meta, doc, err := ParseWhole(json.RawMessage(text))
		if err != nil {
			return
		}
		if err := meta.Check(); err != nil || len(meta.Data) > 0 {
			t.Fatalf("%+v was taken: %v", meta, err)
		}
		u := WholeUpdate(meta, doc)
		again, same, err := ParseWhole(u.Value)
		if err != nil || string(same.JSON()) != string(doc.JSON()) || again.Version != meta.Version || again.URL != meta.URL {
			t.Fatalf("%s became %s: %v", text, u.Value, err)
		}
		if *u.Version != meta.Version {
			t.Fatalf("version %d, want %d", *u.Version, meta.Version)
		}
	})
}

func TestUpdateCheck(t *testing.T) {
	u := NewUpdate(Change{Attribute: "a", Value: json.RawMessage("1")}, 7, Now())
	if err := u.Check(); err != nil || *u.Version != 7 || u.Change().Attribute != "a" || u.Size() < 2 {
		t.Errorf("%+v: %v", u, err)
	}
	u.LastModified = strings.Repeat("x", 65)
	if err := u.Check(); !errors.Is(err, ErrMetadata) {
		t.Error(err)
	}
}

// A packed document is the same document, for reading and changing; the original is not changed.
func TestPacked(t *testing.T) {
	for _, text := range []string{``, `{}`, `{"a":1e2,"b":[1,{"c":"<é>"}],"":null}`} {
		d, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p := d.Packed()
		if string(p.JSON()) != string(d.JSON()) || p.Size() != d.Size() || string(p.Packed().JSON()) != string(d.JSON()) {
			t.Errorf("%s: packed %s of %d bytes, want %d", d.JSON(), p.JSON(), p.Size(), d.Size())
		}
		for _, attribute := range []string{"a", "b.1.c", "x"} {
			got, ok := p.Lookup(attribute)
			want, there := d.Lookup(attribute)
			if string(got) != string(want) || ok != there {
				t.Errorf("%s in %s: %s %v, want %s %v", attribute, text, got, ok, want, there)
			}
		}
		changed, err := p.Apply(d.Replacement("a", []byte(`{"n":1}`)))
		also, err2 := d.Apply(d.Replacement("a", []byte(`{"n":1}`)))
		if err != nil || err2 != nil || string(changed.JSON()) != string(also.JSON()) || changed.Size() != also.Size() {
			t.Errorf("%s changed: %s, %v; want %s, %v", text, changed.JSON(), err, also.JSON(), err2)
		}
		own := p.JSON()
		clear(own)
		if string(p.JSON()) != string(d.JSON()) {
			t.Error("the text that JSON gives is the document's own")
		}
	}
}

// Only the document of a Connection object is packed, when it has not changed for a time.
func TestPacker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the owner's
		packed := map[message.URL]int{}
		for _, url := range []message.URL{"connection://example.com/1", "comm://example.com/1"} {
			var r Packer
			changed := func() {
				mu.Lock()
				defer mu.Unlock()
				r.Changed(url, func() {
					mu.Lock()
					defer mu.Unlock()
					packed[url]++
					r.Packed(Document{})
				})
			}
			for range 5 {
				changed()
				time.Sleep(packAfter / 2)
			}
			mu.Lock()
			if packed[url] > 0 {
				t.Errorf("%s is packed between its changes", url)
			}
			mu.Unlock()
			time.Sleep(packAfter)
			changed()
			time.Sleep(2 * packAfter)
		}
		mu.Lock()
		defer mu.Unlock()
		if packed["connection://example.com/1"] != 2 || packed["comm://example.com/1"] != 0 {
			t.Errorf("packed: %v", packed)
		}
	})
}
