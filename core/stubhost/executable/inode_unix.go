//go:build unix

package executable

import (
	"io/fs"
	"syscall"
)

// inode returns the file's number, which tells it from another file of the same size and time.
func inode(info fs.FileInfo) uint64 {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(sys.Ino)
	}
	return 0
}
