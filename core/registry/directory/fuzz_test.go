package directory

import (
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

func FuzzKey(f *testing.F) {
	for _, u := range []string{"hyperty://example.com/bob", "hyperty://a/b/", "hyperty://a/b//", "runtime://a/b/c", "a://", "a:///", "a:///b/",
		"mn:/session", "a:b://c/d/e", "", "comm://x/y/changes", "rest://a/b/c", "://", "a://b//c"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := message.URL(text)
		if got, want := Key(u), u.Base().Canonical(); got != want {
			t.Errorf("%q: %q, want %q", u, got, want)
		}
	})
}
