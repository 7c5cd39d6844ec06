// Package peercred tells which user is at the other end of a Unix socket, where the system can tell. It is how the
// runtime and its applications make sure that they talk to their own user only.
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
