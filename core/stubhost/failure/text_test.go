package failure

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	f.Add("a text", 3)
	f.Add("ä\xffö€", 4)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = 1 + n&0xfff
		if got := Text(text, n); !utf8.ValidString(got) || len(got) > n*3+len("…") || len(text) > n && !strings.HasSuffix(got, "…") {
			t.Errorf("%q to %d: %q", text, n, got)
		}
	})
}
