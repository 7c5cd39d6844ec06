// Package folderlock gives a folder to one process at a time. The operating system holds the lock and frees it when the
// process ends, however it ends. So nothing has to be removed after a crash.
package folderlock

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// ErrTaken is the error of a folder that another process has, or another part of this one.
var ErrTaken = errors.New("in use")

// Take locks the file "lock" in the folder, and makes the file if it does not exist. The folder must exist. what names the
// kind of owner in the error, such as "runtime". If the folder is locked, the error is [ErrTaken]; Take does not wait.
func Take(folder, what string) (*Lock, error) {
	l := flock.New(filepath.Join(folder, "lock"))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data folder %s: lock: %w", folder, err)
	}
	if !got {
		return nil, fmt.Errorf("data folder %s is %w by another %s: end that one, or give this one a folder of its own", folder, ErrTaken, what)
	}
	return &Lock{l}, nil
}

// Lock is the lock of a folder.
type Lock struct{ l *flock.Flock }

// Close unlocks the folder. It does nothing on a nil Lock, and may be called more than once.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	return l.l.Close()
}
