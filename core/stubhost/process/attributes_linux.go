package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes returns the attributes that a process is started with. The kernel kills it when the host dies. It has a process
// group of its own, so that a terminal's interrupt reaches only the host, and what the process starts can be killed with it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// awaitExit waits until the child pid has exited, and returns a function that kills the rest of its group. It does not reap the
// child, so that the group's ID is not given to other processes.
func awaitExit(pid int) (killRest func()) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	return func() { _ = syscall.Kill(-pid, syscall.SIGKILL) }
}
