package node

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lockFolder makes the data folder, if it is not there, and takes it for this node alone: two embedded servers would destroy
// each other's files. The system frees the lock when the process ends, however it ends.
func lockFolder(folder string) (release func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("message node: data folder: %w", err)
	}
	l := flock.New(filepath.Join(folder, "lock"))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("message node: data folder %s: lock: %w", folder, err)
	}
	if !got {
		return nil, fmt.Errorf("message node: data folder %s is in use by another node: end that one, or give this one a folder of its own", folder)
	}
	return func() { _ = l.Close() }, nil
}
