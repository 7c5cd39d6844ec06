package safefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/internal/folderlock"
)

// A data folder is made, and one runtime at a time can use it.
func TestTake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := safefile.Take(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if second, err := safefile.Take(dir, hclog.NewNullLogger()); !errors.Is(err, folderlock.ErrTaken) {
		t.Errorf("taken twice: %v, %v", second, err)
	}
}

// A folder that other users may change is refused.
func TestTakeExposed(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the modes of Unix")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if l, err := safefile.Take(dir, hclog.NewNullLogger()); !errors.Is(err, safefile.ErrExposed) {
		t.Errorf("taken: %v, %v", l, err)
	}
}
