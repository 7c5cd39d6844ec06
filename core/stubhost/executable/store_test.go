package executable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/protofly/protofly/core/stubhost/failure"
)

// A store gives copies only of executables with the right checksum.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sumOf := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	refused := func(what string, want failure.Reason, err error) {
		t.Helper()
		if start := new(failure.StartError); !errors.As(err, &start) || start.Reason != want || start.Plugin != "a" {
			t.Errorf("%s: %v", what, err)
		}
	}
	copies := filepath.Join(dir, "copies")
	if err := os.Mkdir(copies, 0o700); err != nil {
		t.Fatal(err)
	}
	s := NewStore(copies)
	get := func(text string) string {
		t.Helper()
		at, err := s.Get("a", path, sumOf(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(at); err != nil || string(got) != text || filepath.Dir(at) != copies {
			t.Fatalf("the copy %s has %q: %v", at, got, err)
		}
		return at
	}
	write("first")
	first := get("first")
	if again := get("first"); again != first {
		t.Error("the same has two copies")
	}
	_, err := s.Get("a", path, "")
	refused("no checksum", failure.Checksum, err)
	write("another")
	_, err = s.Get("a", path, sumOf("first"))
	refused("a changed file", failure.Checksum, err)
	damaged := get("another")
	if err := os.Chmod(damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, []byte("damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	get("another") // it is copied again
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	get("another") // its copy is used although the file has gone
	_, err = s.Get("a", path, sumOf("never there"))
	refused("no file and no copy", failure.Missing, err)
	_, err = s.Get("a", dir, sumOf("never there"))
	refused("a folder", failure.Missing, err)
}
