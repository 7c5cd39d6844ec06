//go:build !unix

package writes

// freeBytes is not known on this system: a full disk shows when a write fails.
func freeBytes(string) (free int64, ok bool) { return 0, false }
