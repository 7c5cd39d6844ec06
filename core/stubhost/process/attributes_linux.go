package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes has the kernel kill the process when the host dies, however it does, and puts it into a group of its
// own: a terminal's interrupt is the host's to handle, and what the process starts can be killed with it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// awaitExit waits until the child pid has exited, and returns what kills the rest of its group. The child is not
// reaped: so the group's number stays its own.
func awaitExit(pid int) (killRest func()) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	return func() { _ = syscall.Kill(-pid, syscall.SIGKILL) }
}
