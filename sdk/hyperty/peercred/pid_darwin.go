package peercred

import (
	"net"

	"golang.org/x/sys/unix"
)

// PID is the process at the other end of conn; 0 where the system does not tell.
func PID(conn net.Conn) (pid int) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { pid, failed = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID) }); err != nil || failed != nil {
		return 0
	}
	return pid
}
