//go:build !linux

package stubhost

// isFirstThread does not matter here: no thread is confined.
func isFirstThread() bool { return false }
