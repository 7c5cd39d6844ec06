//go:build linux && !386 && !arm

package sandbox

import "golang.org/x/sys/unix"

// The calls that set a thread's groups, group and user.
const (
	setGroups = unix.SYS_SETGROUPS
	setGroup  = unix.SYS_SETRESGID
	setUser   = unix.SYS_SETRESUID
)
