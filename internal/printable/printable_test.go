package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"hello":                    "hello",
		"grüße 你好 🙂":               "grüße 你好 🙂",
		"a\nb\tc\r\nd":             "a b c  d",
		"\x1b[31mred":              `\u001b[31mred`,
		"\u009b31m":                `\u009b31m`,
		"a\u202eb":                 `a\u202eb`,
		"a\u2028b":                 `a\u2028b`,
		"\x7f\x00":                 `\u007f\u0000`,
		"bad \xff byte":            "bad \uFFFD byte",
		"tag \U000e0041":           `tag \udb40\udc41`,
		"no-break\u00a0space":      `no-break\u00a0space`,
		"zero\u200bwidth\u200dand": `zero\u200bwidth\u200dand`,
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{{"hello", 5, "hello"}, {"hello", 4, "hell…"}, {"grüße", 3, "gr…"}, {"\x1b\x1b\x1b", 1, `\u001b…`}, {"x", 0, "…"}} {
		if got := Cut(c.in, c.limit); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestWriter(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b)
	text := "a\tb\n\x1b[2Jü\u009bc\r\n"
	for i := range len(text) { // one byte at a time: a rune may be split anywhere
		if n, err := w.Write([]byte(text[i : i+1])); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "a\tb\n\\u001b[2Jü\\u009bc\\u000d\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// JSON keeps its meaning: what is not printable is in its strings only.
func TestWriterKeepsJSON(t *testing.T) {
	want := map[string]string{"k\u009b": "v\u202e\U000e0041\x1b"}
	var b strings.Builder
	if err := json.NewEncoder(NewWriter(&b)).Encode(want); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got["k\u009b"] != want["k\u009b"] {
		t.Errorf("%q became %q", want, got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b[31m\n", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		for _, got := range []string{Line(s), Cut(s, limit)} {
			if !utf8.ValidString(got) {
				t.Fatalf("%q is not UTF-8", got)
			}
			for _, r := range got {
				if !unicode.IsPrint(r) {
					t.Fatalf("%q has %U", got, r)
				}
			}
		}
		if limit >= 0 && len(Cut(s, limit)) > 6*limit+len("…") {
			t.Fatalf("%d bytes of a limit of %d", len(Cut(s, limit)), limit)
		}
	})
}
