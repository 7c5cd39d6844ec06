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

// Take locks the file "lock" in the folder, which is made if it is not there. The folder must be there. What says what the
// owner of such a folder is, for the error: "runtime". The error is [ErrTaken] where another one has the folder; it does
// not wait for that one.
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

// Lock is a folder that was taken.
type Lock struct{ l *flock.Flock }

// Close gives the folder back. A nil Lock is none. It may be called more than once.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	return l.l.Close()
}
