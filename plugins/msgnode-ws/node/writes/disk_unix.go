//go:build unix

package writes

import (
	"golang.org/x/sys/unix"
)

// freeBytes is how much an unprivileged process may still write to folder's disk; ok is false if that is not known.
func freeBytes(folder string) (free int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
