// Package peercred tells which user and which process are at the other end of a Unix socket, where the system can tell. It
// is how the runtime and its applications make sure that they talk to their own user only.
package peercred

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// ErrUnknown says that this system cannot tell; then the socket's folder, which only its owner may enter, is the guard.
var ErrUnknown = errors.New("this system does not tell who is at the other end of a Unix socket")

// Check refuses a connection whose other end is neither this process's user nor root. It returns nil where the system
// cannot tell.
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

// UID is the user that has made the other end of conn. The error is [ErrUnknown] where the system cannot tell, or conn is no
// Unix socket.
func UID(conn net.Conn) (uid int, err error) { return ask(conn, socketUID) }

// PID is the process that has made the other end of conn, 0 where that is in a namespace from which it cannot be seen. The
// error is [ErrUnknown] where the system cannot tell, or conn is no Unix socket.
func PID(conn net.Conn) (pid int, err error) { return ask(conn, socketPID) }

// ask has one of the system's answers about the socket of conn.
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
