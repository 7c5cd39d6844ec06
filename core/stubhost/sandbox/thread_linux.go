package sandbox

import "golang.org/x/sys/unix"

// isFirstThread tells whether the calling thread is the process's first one.
func isFirstThread() bool { return unix.Gettid() == unix.Getpid() }
