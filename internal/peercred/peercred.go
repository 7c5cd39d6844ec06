// Package peercred tells which user and which process are at the other end of a Unix socket, where the system can tell. The
// runtime and its applications use it to talk only to processes of their own user.
package peercred

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// ErrUnknown says that this system cannot tell. There only the mode of the socket's folder, which its owner alone may enter,
// protects the socket.
var ErrUnknown = errors.New("this system does not tell who is at the other end of a Unix socket")

// Check refuses a connection whose other end is neither this process's user nor root. It returns nil if the system cannot tell.
func Check(conn net.Conn) error {
	uid, err := UID(conn)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case err != nil:
		return fmt.Errorf("cannot tell who is at the other end: %w", err)
	case uid != os.Geteuid() && uid != 0:
		return fmt.Errorf("at the other end is the user %d, not %d", uid, os.Geteuid())
	}
	return nil
}

// UID returns the user ID of the process that has made the other end of conn. The error is [ErrUnknown] if the system cannot
// tell, or conn is no Unix socket.
func UID(conn net.Conn) (uid int, err error) { return ask(conn, socketUID) }

// PID returns the ID of the process that has made the other end of conn, 0 if it is in another PID namespace and has no ID here.
// The error is [ErrUnknown] if the system cannot tell, or conn is no Unix socket.
func PID(conn net.Conn) (pid int, err error) { return ask(conn, socketPID) }

// ask calls question with the descriptor of conn.
func ask(conn net.Conn, question func(fd int) (int, error)) (answer int, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, ErrUnknown
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { answer, failed = question(int(fd)) }); err != nil {
		return 0, err
	}
	return answer, failed
}
