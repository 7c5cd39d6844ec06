package message

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// texts are what the validator is tried with: JSON, and what nearly is.
var texts = []string{
	``, ` `, `{}`, `[]`, `{ }`, "\t[\n]\r ", `{}{}`, `{},`, `{`, `}`, `[`, `]`, `{]`, `[}`, `null`, `nul`, `nulll`, `true`, `false`, `truefalse`, `True`,
	`"`, `""`, `"a`, `"a"b`, `"\`, `"\"`, `"\""`, `"\\"`, `"\/\b\f\n\r\t"`, `"\a"`, `"\u12"`, `"\u12aF"`, `"\u12ag"`, `"\u12a`, `"\uD800"`, "\"\x7f\x80\xff\"",
	"\"\x1f\"", "\"\x00\"", "\"\n\"", "\" !#[]^\"", `"0123456789abcdef"`, `"0123456789abcde`, "\"0123456789abcde\x1f\"", "\"0123456\x80\x1f9abcdef\"",
	`0`, `-0`, `-`, `00`, `01`, `-01`, `1`, `10`, `1.`, `.1`, `1.0`, `0.00`, `1.e1`, `1e`, `1e+`, `1e-0`, `1E09`, `1e5.`, `+1`, `1-`, `1 2`, `0x1`, `1_0`, `NaN`, `12e3e4`,
	`[1]`, `[1,]`, `[,1]`, `[1,2]`, `[1 2]`, `[1,,2]`, `[[]]`, `[[],{}]`, `[[}`, `[{}]`, `[{]}`, `["a",null , true]`,
	`{"a":1}`, `{"a" : 1 , "b":[ ]}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a"::1}`, `{"a":1}}`, `{"a":{"b":{"c":[[{}]]}}}`,
	`{"a":1,"a":2}`, "\ufeff{}", "{\u00a0}", "{\v}", `{"text":"a longer one with \u00e4 and é and \\ and more of it behind"}`,
}

func TestValidIsWhatEncodingJSONSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(text string) {
		t.Helper()
		if got, want := validJSON([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Fatalf("%q: %v, encoding/json says %v", text, got, want)
		}
	}
	for _, a := range texts {
		check(a)
		for _, b := range texts {
			check(`{"x":` + a + `,"y":` + b + `}`)
			check(a + b)
			check(fmt.Sprintf(`["%s",%s]`, a, b))
		}
		for range 2000 { // and each with a character more, less or another
			text := []byte(`{"some":["text",` + a + `], "n":-12.5e+7,"t":true}`)
			switch at := r.IntN(len(text)); r.IntN(3) {
			case 0:
				text[at] = byte(r.IntN(256))
			case 1:
				text = append(text[:at], text[at+1:]...)
			default:
				text[at] = `{}[]",:\ 0-.eEtfn`[r.IntN(17)]
			}
			check(string(text))
		}
	}
}

func TestValidOfEveryPlaceAndCharacter(t *testing.T) {
	for c := range 256 {
		for length := range 40 {
			for at := range length {
				text := []byte(`"` + strings.Repeat("x", length) + `"`)
				text[1+at] = byte(c)
				if got, want := validJSON(text), json.Valid(text); got != want {
					t.Fatalf("%q: %v, want %v", text, got, want)
				}
			}
		}
	}
}

func TestValidDepth(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 127, 128, 129, 9_999, 10_000, 10_001, 20_000} {
		for _, text := range []string{
			strings.Repeat("[", n) + strings.Repeat("]", n),
			strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n),
			strings.Repeat(`[{"a":`, n/2) + "[]" + strings.Repeat("}]", n/2),
			strings.Repeat(`{"a":[`, n/2) + "{}" + strings.Repeat("]}", n/2),
			strings.Repeat("[", n) + strings.Repeat("]", n-1) + "}",
			strings.Repeat("[", n),
		} {
			if got, want := validJSON([]byte(text)), json.Valid([]byte(text)); got != want {
				t.Errorf("%d levels of %.12q: %v, want %v", n, text, got, want)
			}
		}
	}
	text := []byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))
	if n := testing.AllocsPerRun(10, func() { validJSON(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte(strings.Repeat(`[{"a":`, 70) + "1" + strings.Repeat("}]", 70)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := validJSON(text), json.Valid(text); got != want {
			t.Errorf("%q: %v, encoding/json says %v", text, got, want)
		}
	})
}

// benchmarkTexts are bodies of about 1 KiB.
var benchmarkTexts = map[string]string{
	"text":    `{"text":"` + strings.Repeat("x", 1000) + `"}`,
	"short":   `{"text":"hello, bob","n":17,"from":"alice","tags":["a","b"],"at":"2001-02-03T04:05:06Z"}`,
	"members": `{"list":[` + strings.Repeat(`{"name":"value of it","on":true},`, 30) + `null]}`,
	"numbers": `{"list":[` + strings.Repeat(`-12.5,7,1024,3.25e-7,`, 48) + `0]}`,
	"digits":  `{"list":[` + strings.Repeat(`1,2,`, 250) + `0]}`,
	"escapes": `{"text":"` + strings.Repeat(`a line\nand \"more\" `, 50) + `"}`,
}

func BenchmarkValid(b *testing.B) {
	for _, name := range []string{"text", "short", "members", "numbers", "digits", "escapes"} {
		text := []byte(benchmarkTexts[name])
		for who, valid := range map[string]func([]byte) bool{"ours": validJSON, "encoding-json": json.Valid} {
			b.Run(name+"/"+who, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if !valid(text) {
						b.Fatal("not valid")
					}
				}
			})
		}
	}
}
