//go:build !unix

package node

import "os"

// freeBytes is not known here: a full disk shows when a write fails.
func freeBytes(string) (free int64, ok bool) { return 0, false }

// exposed is not known here.
func exposed(os.FileInfo) bool { return false }
