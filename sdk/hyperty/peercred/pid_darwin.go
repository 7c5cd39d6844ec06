package peercred

import (
	"net"

	"golang.org/x/sys/unix"
)

// PID is the process that has made the other end of conn.
func PID(conn net.Conn) (int, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, ErrUnknown
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var pid int
	var failed error
	if err := raw.Control(func(fd uintptr) { pid, failed = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID) }); err != nil {
		return 0, err
	}
	return pid, failed
}
