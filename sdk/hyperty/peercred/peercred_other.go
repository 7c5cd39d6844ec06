//go:build !linux && !darwin && !freebsd

package peercred

import "net"

// UID is the user at the other end of conn; this system cannot tell.
func UID(net.Conn) (int, error) { return 0, ErrUnknown }

// PID is the process at the other end of conn; this system is not asked.
func PID(net.Conn) (int, error) { return 0, ErrUnknown }
