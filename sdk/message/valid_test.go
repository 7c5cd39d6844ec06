package message

import (
	"encoding/json"
	"strings"
	"testing"
)

var validSeeds = []string{
	``, ` `, `{}`, ` { } `, `[]`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,2,3]`, `[1,]`, `[,]`, `[1 2]`, `{"a":[{"b":null},true,false]}`,
	`"`, `"abc`, `"abcdefgh"`, `"abcdefghijklmnop\"q"`, `"\u12aF"`, `"\u12g4"`, `"\u12"`, `"\x"`, `"\`, "\"a\nb\"", "\"\x1f\"", "\"\x7f\x80\xff\"", "\"abcdefg\x01hij\"",
	`0`, `-0`, `01`, `-`, `1.`, `1.5`, `.5`, `1e5`, `1e`, `1E+5`, `1e-`, `-1.25e-17`, `+1`, `tru`, `true`, `truex`, `nul`, `null `, `false,`, `{}{}`, `[}`, `{]`, `[[]]]`, `}`,
	`{"a":1 , "b" : [ 1 , "x" ] }`, "\ufeff{}", "{\"é\":\"\u2028\"}",
}

func TestValidJSON(t *testing.T) {
	seeds := append([]string{
		strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
		strings.Repeat(`{"a":`, 9999) + "{}" + strings.Repeat("}", 9999), strings.Repeat(`{"a":`, 10000) + "{}" + strings.Repeat("}", 10000),
	}, validSeeds...)
	for _, text := range seeds {
		if got, want := validJSON([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Errorf("%.60q: %t, package json says %t", text, got, want)
		}
	}
	for at := range 24 { // each place of a word
		for _, c := range []string{`"`, `\`, "\x00", "\x1f", " ", "\x80", "\xff", `\n`} {
			text := `"` + strings.Repeat("x", at) + c + strings.Repeat("y", 24-at) + `"`
			if got, want := validJSON([]byte(text)), json.Valid([]byte(text)); got != want {
				t.Errorf("%q: %t, package json says %t", text, got, want)
			}
		}
	}
}

func FuzzValidJSON(f *testing.F) {
	for _, text := range validSeeds {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := validJSON(text), json.Valid(text); got != want {
			t.Errorf("%q: %t, package json says %t", text, got, want)
		}
	})
}

func BenchmarkValidJSON(b *testing.B) {
	for name, text := range map[string]string{
		"string": `{"value":"` + strings.Repeat("x", 16<<10) + `"}`,
		"mixed":  `{"list":[` + strings.Repeat(`{"name":"somebody","age":12345,"here":true},`, 400) + `null]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if !validJSON([]byte(text)) {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(name+"/encoding/json", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				json.Valid([]byte(text))
			}
		})
	}
}
