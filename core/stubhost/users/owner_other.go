//go:build !unix

package users

import "io/fs"

// isRoots is not asked here: no process has a user of its own.
func isRoots(fs.FileInfo) bool { return false }
