package object

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The hashes are what other implementations have to find, too.
func TestHash(t *testing.T) {
	seen := map[string]string{}
	for text, want := range map[string]string{
		`{}`: "12ae30237b17df14", `{"a":null}`: "bf52fe80121bffd8", `{"a":false}`: "", `{"a":true}`: "d98bce981428c234", `{"a":1}`: "", `{"a":1.0}`: "91d708bfd13024ad", `{"a":"1"}`: "", `{"a":""}`: "",
		`{"a":[]}`: "", `{"a":{}}`: "", `{"a":[[]]}`: "b8550ca095081991", `{"a":[1,2]}`: "b54cc58ca2e2081f", `{"a":[2,1]}`: "ca153f03fd459e30", `{"a":[0]}`: "", `{"a":[0,0]}`: "",
		`{"a":{"b":1}}`: "9fac944f1eeabcc8", `{"b":{"a":1}}`: "", `{"a":"b"}`: "", `{"b":"a"}`: "", `{"a":1,"b":2}`: "", `{"a":2,"b":1}`: "",
		`{"a":"12345678"}`: "", `{"a":"123456781"}`: "f8ca02bbc34d3880", `{"a":"12345678\u0000"}`: "", `{"":{}}`: "", `{"a":"é"}`: "14a701b7fda98232",
	} {
		d := parse(t, text)
		if other, twice := seen[d.Hash()]; twice {
			t.Errorf("%s and %s have the same hash", text, other)
		}
		seen[d.Hash()] = text
		if want != "" && d.Hash() != want {
			t.Errorf("%s: %s, want %s", text, d.Hash(), want)
		}
		if d.Differs(d.Hash()) || !d.Differs("0123456789abcdef") || d.Differs("") || d.Differs("0123456789ABCDEF") || d.Differs("0123456789abcdef0") {
			t.Errorf("%s: differs from itself, or not from others", text)
		}
		if p := d.Packed(); p.Hash() != d.Hash() || !p.Equal(d) {
			t.Errorf("%s: packed it has %s, not %s", text, p.Hash(), d.Hash())
		}
	}
	if (Document{}).Hash() != parse(t, `{}`).Hash() || !(Document{}).Equal(parse(t, ` { } `)) {
		t.Error("an empty document has two hashes")
	}
}

// randomValue is a JSON value with depth levels at most.
func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(9); {
	case n < 2 && depth > 0:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	case n < 4 && depth > 0:
		all := map[string]any{}
		for range r.IntN(5) {
			all[randomKey(r)] = randomValue(r, depth-1)
		}
		return all
	case n == 4:
		return nil
	case n == 5:
		return r.IntN(2) == 0
	case n == 6:
		return json.RawMessage([]string{"0", "-0", "1.0", "1e400", "9007199254740993"}[r.IntN(5)])
	case n == 7:
		return r.IntN(100)
	}
	return []string{"", "x", "<&>", "\u2028", "é\"\\", strings.Repeat("long", r.IntN(20))}[r.IntN(6)]
}

func randomKey(r *rand.Rand) string {
	return []string{"a", "b", "c", "0", "1", "a.b", `a\`, `\`, "", ".", "user://x.y/z", "user://x", "é", "<"}[r.IntN(14)]
}

// randomPath is the path of something that is in the document, or could be.
func randomPath(r *rand.Rand, v any) string {
	var keys []string
	for range 1 + r.IntN(4) {
		key := randomKey(r)
		switch at := v.(type) {
		case *members:
			if r.IntN(4) > 0 && at != nil {
				for key = range at.of { // any
					break
				}
			}
			v = nil
			if at != nil {
				v = at.of[key]
			}
		case *items:
			i := r.IntN(len(at.of) + 2)
			key = fmt.Sprint(i)
			if v = nil; i < len(at.of) {
				v = at.of[i]
			}
		default:
			v = nil
		}
		keys = append(keys, key)
	}
	return Path(keys...)
}

// After any changes a document is what its text says: size, hash, and the text of what is read again.
func TestRandomChanges(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := Document{}
		done := 0
		for range 30 {
			path := randomPath(r, d.open())
			value, _ := json.Marshal(randomValue(r, 3))
			var c Change
			switch r.IntN(4) {
			case 0:
				c = d.Removal(path)
			case 1:
				c = d.Addition(path, value)
			default:
				c = d.Replacement(path, value)
			}
			next, err := d.Apply(c)
			if err != nil {
				continue
			}
			done++
			again := parse(t, string(next.JSON()))
			if string(again.JSON()) != string(next.JSON()) || again.Hash() != next.Hash() || again.Size() != next.Size() {
				t.Fatalf("seed %d: %s, %+v: %s, hash %s, size %d; read again %s, %s, %d", seed, d.JSON(), c, next.JSON(), next.Hash(), next.Size(),
					again.JSON(), again.Hash(), again.Size())
			}
			if next.Equal(d) != (string(next.JSON()) == string(d.JSON())) {
				t.Fatalf("seed %d: %s and %s have the hashes %s and %s", seed, d.JSON(), next.JSON(), d.Hash(), next.Hash())
			}
			d = next
			if r.IntN(5) == 0 {
				d = d.Packed()
			}
		}
		if done == 0 {
			t.Errorf("seed %d: nothing was changed", seed)
		}
	}
}

// The text is that of package json.
func TestTextIsThatOfPackageJSON(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		value, err := json.Marshal(map[string]any{"v": randomValue(r, 5), randomKey(r): randomValue(r, 5)})
		if err != nil {
			t.Fatal(err)
		}
		text := parse(t, string(value)).JSON()
		var a, b strings.Builder
		for out, in := range map[*strings.Builder]string{&a: string(text), &b: string(value)} {
			decoder := json.NewDecoder(strings.NewReader(in))
			decoder.UseNumber()
			var v any
			if err := decoder.Decode(&v); err != nil {
				t.Fatal(err)
			}
			encoder := json.NewEncoder(out)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(text) + "\n"; got != a.String() || got != b.String() {
			t.Fatalf("seed %d: %s, want %s", seed, got, b.String())
		}
	}
}

// What a change costs where nothing is cheaper: an element in the middle of a document that is as large as it may be.
func BenchmarkApplyLarge(b *testing.B) {
	list := make([]any, 30000)
	for i := range list {
		list[i] = "element " + fmt.Sprint(i)
	}
	text, _ := json.Marshal(map[string]any{"l": list})
	d := parse(b, string(text))
	for _, at := range []int{0, len(list) / 2, len(list)} {
		b.Run(fmt.Sprint("add at ", at), func(b *testing.B) {
			c := Change{Attribute: fmt.Sprint("l.", at), Type: Array, Operation: Add, Value: json.RawMessage("1")}
			for b.Loop() {
				if _, err := d.Apply(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
