//go:build unix

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeBytes is how much an unprivileged process may still write to folder's disk; ok is false where that is not known.
func freeBytes(folder string) (free int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

// lockFolder makes sure that no other node uses folder. The lock ends with the process, however it ends.
func lockFolder(folder string) (release func(), err error) {
	name := filepath.Join(folder, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("message node: data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("message node: another node uses the data folder %s; give each its own", folder)
		}
		return nil, fmt.Errorf("message node: lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}

// exposed tells whether others than a file's owner may read or write it.
func exposed(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
