//go:build linux && (386 || arm)

package sandbox

import "golang.org/x/sys/unix"

// The calls of the same names without 32 take IDs of 16 bits on these architectures.
const (
	setGroups = unix.SYS_SETGROUPS32
	setGroup  = unix.SYS_SETRESGID32
	setUser   = unix.SYS_SETRESUID32
)
