package executable

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
)

// A copy that is right is not replaced, because of the processes that run it; a damaged one is.
func TestCopyStaysInItsPlace(t *testing.T) {
	dir := t.TempDir()
	from, target := filepath.Join(dir, "from"), filepath.Join(dir, "copy")
	text := []byte("a program")
	if err := os.WriteFile(from, text, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	place := func() os.FileInfo {
		t.Helper()
		if err := Copy(from, target, sum[:]); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q, %v", got, err)
		}
		info, err := os.Stat(target)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := place()
	if !os.SameFile(first, place()) {
		t.Error("the copy was replaced by the same")
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	place()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("left: %q, %v", left, err)
	}
}
