//go:build unix

package link

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// SocketPair makes a socket: the host's end, and the plug-in's as a file to be inherited, which the caller closes.
func SocketPair() (*Socket, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "link")
	mine, err := socketOf(os.NewFile(uintptr(fds[0]), "link"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return mine, theirs, nil
}

// InheritedSocket is the plug-in's end; nil where the host has given none.
func InheritedSocket() (*Socket, error) {
	text := os.Getenv(SocketVariable)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is no file descriptor", SocketVariable, text)
	}
	syscall.CloseOnExec(fd) // what the plug-in starts is not to have it
	s, err := socketOf(os.NewFile(uintptr(fd), "link"))
	if err != nil {
		return nil, fmt.Errorf("the link's socket, file descriptor %d: %w", fd, err)
	}
	return s, nil
}

// writeNow makes a function that writes what a socket takes without waiting.
func writeNow(conn *net.UnixConn) (func(b []byte) (int, error), error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	// One caller at a time: so these are no allocation of each call.
	var b []byte
	var n int
	var failed error
	write := func(fd uintptr) bool {
		n, failed = syscall.Write(int(fd), b)
		return true
	}
	return func(data []byte) (int, error) {
		b = data
		err := raw.Write(write)
		b = nil
		switch {
		case err != nil:
			return 0, err
		case errors.Is(failed, syscall.EAGAIN), errors.Is(failed, syscall.EINTR):
			return 0, nil
		case failed != nil:
			return 0, failed
		}
		return n, nil
	}, nil
}
