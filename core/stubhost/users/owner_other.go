//go:build !unix

package users

import "io/fs"

// isRoots is not used on this system, which has no dedicated users.
func isRoots(fs.FileInfo) bool { return false }
