//go:build unix

package admission

import "os"

// exposed tells whether others than a file's owner may read or write it.
func exposed(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
