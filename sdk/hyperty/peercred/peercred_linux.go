package peercred

import (
	"net"

	"golang.org/x/sys/unix"
)

// UID is the user at the other end of conn.
func UID(conn net.Conn) (int, error) {
	cred, err := credentials(conn)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// PID is the process that has made the other end of conn, 0 where that is in a namespace from which it cannot be seen.
func PID(conn net.Conn) (int, error) {
	cred, err := credentials(conn)
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

func credentials(conn net.Conn) (*unix.Ucred, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, ErrUnknown
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return cred, nil
}
