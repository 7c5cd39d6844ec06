//go:build unix

package main

import "syscall"

// alive tells whether there is such a process.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// kill ends a process at once.
func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
