//go:build !linux

package sandbox

// isFirstThread does not matter here: no thread is confined.
func isFirstThread() bool { return false }
