package folderlock

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A folder has one owner at a time; another one can take it when that has closed.
func TestTake(t *testing.T) {
	dir := t.TempDir()
	first, err := Take(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(dir, "node"); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), dir+" is in use by another node: ") {
		t.Errorf("a second one: %v", err)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	}
	second, err := Take(dir, "node")
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := (*Lock)(nil).Close(); err != nil {
		t.Error(err)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := Take(filepath.Join(t.TempDir(), "none"), "node"); err == nil || errors.Is(err, ErrTaken) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
