package core

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lock takes the data folder for this runtime alone: two runtimes with one key would take each other's messages. The
// system frees the lock when the process ends, however it ends.
func lock(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	l := flock.New(filepath.Join(dir, "lock"))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data folder %s: lock: %w", dir, err)
	}
	if !got {
		return nil, fmt.Errorf("data folder %s is in use by another runtime: end that one, or give this one a folder of its own", dir)
	}
	return l, nil
}
