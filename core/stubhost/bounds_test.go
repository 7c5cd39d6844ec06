//go:build unix

package stubhost

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/protofly/protofly/sdk/message"
)

func TestOffences(t *testing.T) {
	var o offences
	now := time.Unix(1000, 0)
	for n := range maxOffences {
		if o.add(now) {
			t.Fatalf("offence %d is one too many", n)
		}
	}
	if !o.add(now) || !o.add(now.Add(offenceEvery/2)) {
		t.Error("one more is let pass")
	}
	if o.add(now.Add(offenceEvery)) || !o.add(now.Add(offenceEvery)) {
		t.Error("after the time for one, not just one is forgotten")
	}
	for n := range 10 * maxOffences { // who offends rarely is never too often
		if o.add(now.Add(time.Hour + time.Duration(n)*offenceEvery)) {
			t.Fatal("rare offences add up")
		}
	}
	if o.add(now) { // a clock that goes back
		t.Error("a clock that goes back counts")
	}
}

func TestUsageStopsAtItsLimit(t *testing.T) {
	dir := t.TempDir()
	at := dir
	for range 5 {
		at = filepath.Join(at, "d")
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "f"), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := full(dir, 10*fileCost+5000); got != "" {
		t.Error(got)
	}
	if got := full(dir, 10*fileCost+4999); got == "" {
		t.Error("one byte more is let pass")
	}
	if got := full(filepath.Join(dir, "nowhere"), 1); got != "" {
		t.Error(got)
	}
}

// Empty files and folders are bounded as well, and so is how deep folders are in folders.
func TestUsageCountsFilesAndFolders(t *testing.T) {
	t.Parallel()
	const all = 1 << 40 // bytes: no limit
	dir := t.TempDir()
	for n := range maxFiles {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := full(dir, all); got != "" {
		t.Error(got)
	}
	if err := os.Mkdir(filepath.Join(dir, "one more"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := full(dir, all); got == "" {
		t.Errorf("%d files and a folder are let pass", maxFiles)
	}
	nested, at := t.TempDir(), ""
	for range maxNested {
		at = filepath.Join(at, "d")
	}
	if err := os.MkdirAll(filepath.Join(nested, at), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := full(nested, all); got != "" {
		t.Error(got)
	}
	if err := os.Mkdir(filepath.Join(nested, at, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := full(nested, all); got == "" {
		t.Errorf("folders %d deep are let pass", maxNested+1)
	}
}

func FuzzBounded(f *testing.F) {
	f.Add("a text", 3)
	f.Add("ä\xffö€", 4)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = 1 + n&0xfff
		if got := bounded(text, n); !utf8.ValidString(got) || len(got) > n*3+len("…") || len(text) > n && !strings.HasSuffix(got, "…") {
			t.Errorf("%q to %d: %q", text, n, got)
		}
	})
}

func FuzzShorten(f *testing.F) {
	f.Add([]byte(`{"value":"live","desc":"` + strings.Repeat("x", 2*maxText) + `"}`))
	f.Add([]byte(`{"desc":7}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m := message.Message{Body: body}
		var before, after statusBody
		known := m.Decode(&before)
		shorten(&m)
		if known != nil {
			return
		}
		if err := m.Decode(&after); err != nil || after.Value != before.Value || after.Resource != before.Resource {
			t.Errorf("%q became %q", body, m.Body)
		}
		if !json.Valid(m.Body) && json.Valid(body) || len(after.Desc) > maxText*3+3 {
			t.Errorf("%q became %q", body, m.Body)
		}
	})
}
