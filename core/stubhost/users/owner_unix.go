//go:build unix

package users

import (
	"io/fs"
	"syscall"
)

// isRoots tells whether root owns the file.
func isRoots(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && sys.Uid == 0
}
