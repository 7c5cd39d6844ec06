package quota

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

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

// The number of empty files and folders is bounded as well, and so is the depth of folders.
func TestUsageCountsFilesAndFolders(t *testing.T) {
	t.Parallel()
	const all = 1 << 40 // no limit of bytes
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
