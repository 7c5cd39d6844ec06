package safefile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/safefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSeal(t *testing.T) {
	for _, payload := range []string{"", "x", "a\nb\n"} {
		got, sealed, err := safefile.Unseal("kind", safefile.Seal("kind", []byte(payload)))
		if string(got) != payload || !sealed || err != nil {
			t.Errorf("%q: %q %v %v", payload, got, sealed, err)
		}
		if _, _, err := safefile.Unseal("other", safefile.Seal("kind", []byte(payload))); !errors.Is(err, safefile.ErrDamaged) {
			t.Errorf("another kind: %v", err)
		}
	}
	if got, sealed, err := safefile.Unseal("kind", []byte("old\nfile\n")); string(got) != "old\nfile\n" || sealed || err != nil {
		t.Errorf("an earlier version's: %q %v %v", got, sealed, err)
	}
	for name, text := range map[string][]byte{"empty": nil, "NULs": make([]byte, 4096), "NULs behind": append([]byte("old\n"), 0)} {
		if _, _, err := safefile.Unseal("kind", text); !errors.Is(err, safefile.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// However much of a file is missing, and whichever bit of it is wrong: it is whole, or refused.
func TestDamage(t *testing.T) {
	whole := safefile.Seal("kind", []byte("one\ntwo\nthree\n"))
	for n := range whole {
		if got, _, err := safefile.Unseal("kind", whole[:n]); !errors.Is(err, safefile.ErrDamaged) {
			t.Errorf("the first %d bytes: %q, %v", n, got, err)
		}
		zeros := append(bytes.Clone(whole[:n]), make([]byte, len(whole)-n)...)
		if got, _, err := safefile.Unseal("kind", zeros); !errors.Is(err, safefile.ErrDamaged) {
			t.Errorf("zeros from %d: %q, %v", n, got, err)
		}
		for bit := range 8 {
			other := bytes.Clone(whole)
			other[n] ^= 1 << bit
			if got, sealed, err := safefile.Unseal("kind", other); err == nil && sealed {
				t.Errorf("bit %d of byte %d: %q", bit, n, got)
			}
		}
	}
}

// A crash at any byte, before the new file is in its place, leaves the old one.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	older, newer := safefile.Seal("kind", []byte("old")), safefile.Seal("kind", []byte("the new one"))
	if err := safefile.Write(path, older); err != nil {
		t.Fatal(err)
	}
	for n := range newer { // what a crash leaves behind
		if err := os.WriteFile(filepath.Join(dir, ".file-crash"), newer[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := safefile.Read(path, 1<<10, true); err != nil || !bytes.Equal(text, older) {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if err := safefile.Write(path, newer); err != nil {
		t.Fatal(err)
	}
	if text, err := safefile.Read(path, 1<<10, true); err != nil || !bytes.Equal(text, newer) {
		t.Errorf("%q, %v", text, err)
	}
	if err := safefile.Create(path, older); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if err := safefile.Create(filepath.Join(dir, "other"), older); err != nil {
		t.Error(err)
	}
	if err := safefile.WriteShared(filepath.Join(dir, "shared"), older); err != nil {
		t.Error(err)
	}
	if _, err := safefile.Read(path, 3, true); !errors.Is(err, safefile.ErrDamaged) {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, err := safefile.Read(filepath.Join(dir, "none"), 3, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := safefile.Write(filepath.Join(dir, "none", "file"), older); err == nil {
		t.Error("written to nowhere")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // .file-crash, file, other, shared
		t.Errorf("%v %v", entries, err)
	}
}

func TestMakeFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := safefile.MakeFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Fatal(info, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if safefile.MakeFolder(file) == nil || safefile.MakeFolder(filepath.Join(file, "x")) == nil {
		t.Error("a file was taken for a folder")
	}
}

func FuzzUnseal(f *testing.F) {
	f.Add(safefile.Seal("kind", []byte("payload")))
	f.Add([]byte("protofly-file-1 kind 9999999999999999999 00\n"))
	f.Add([]byte("old"))
	f.Fuzz(func(t *testing.T, text []byte) {
		payload, sealed, err := safefile.Unseal("kind", text)
		if err == nil && sealed && !bytes.Equal(safefile.Seal("kind", payload), text) {
			t.Fatalf("%q is not what is written", text)
		}
		if err == nil && len(payload) == 0 && !sealed {
			t.Fatal("nothing was taken for a file")
		}
	})
}
