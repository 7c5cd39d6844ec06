//go:build unix

package link

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/protofly/protofly/internal/busypoll"
)

// PipePair makes pipes for both directions: the host's ends, and the plug-in's as files to be inherited, in the order of
// [PipesVariable], which the caller closes. limit is how long the host polls for bytes of the plug-in before it sleeps.
func PipePair(limit time.Duration) (*Pipes, []*os.File, error) {
	toHost, fromPlugin, err := newPipe()
	if err != nil {
		return nil, nil, err
	}
	toPlugin, fromHost, err := newPipe()
	if err != nil {
		return nil, nil, errors.Join(err, toHost.Close(), fromPlugin.Close())
	}
	mine, err := endOf(toHost, fromHost, limit)
	if err != nil {
		return nil, nil, errors.Join(err, toPlugin.Close(), fromPlugin.Close())
	}
	return mine, []*os.File{toPlugin, fromPlugin}, nil
}

func newPipe() (read, write *os.File, err error) {
	if read, write, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("the link's pipes: %w", err)
	}
	enlarge(write)
	return read, write, nil
}

// InheritedPipes returns the plug-in's ends; nil if the host has given none.
func InheritedPipes() (*Pipes, error) {
	text := os.Getenv(PipesVariable)
	if text == "" {
		return nil, nil
	}
	var files [2]*os.File
	words := strings.Split(text, ",")
	for i := range files {
		fd := -1
		if len(words) == len(files) {
			fd, _ = strconv.Atoi(words[i])
		}
		if fd < 3 {
			return nil, fmt.Errorf("%s=%q: want two file descriptors", PipesVariable, text)
		}
		syscall.CloseOnExec(fd) // processes that the plug-in starts must not inherit them
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("the link's pipes, file descriptor %d: %w", fd, err)
		}
		files[i] = os.NewFile(uintptr(fd), "link")
	}
	return endOf(files[0], files[1], busypoll.Inherited())
}

// writeNow makes a function that writes as much as a pipe takes without waiting.
func writeNow(out *os.File) (func(b []byte) (int, error), error) {
	raw, err := out.SyscallConn()
	if err != nil {
		return nil, err
	}
	// There is one caller at a time, so these variables are shared by all calls and a call allocates nothing.
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
		busypoll.Carried(n)
		return n, nil
	}, nil
}
