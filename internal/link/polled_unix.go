//go:build unix

package link

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/internal/busypoll"
)

// pollReader reads a pipe. Where bytes come in quick succession, it polls for the next ones instead of sleeping.
type pollReader struct {
	file   *os.File
	waiter *busypoll.Waiter
	try    func(fd uintptr) bool // made once
	b      []byte                // of the read that is under way, and what came of it
	n      int
	err    error
}

func polled(in *os.File, limit time.Duration) (io.ReadCloser, error) {
	waiter, err := busypoll.For(in, limit)
	if err != nil {
		return nil, err
	}
	r := &pollReader{file: in, waiter: waiter}
	r.try = r.read
	return r, nil
}

func (r *pollReader) read(fd uintptr) (done bool) {
	for {
		if r.n, r.err = unix.Read(int(fd), r.b); r.err != unix.EINTR {
			return r.err != unix.EAGAIN
		}
	}
}

// Read is [io.Reader]'s.
func (r *pollReader) Read(b []byte) (int, error) {
	r.b = b
	err := r.waiter.Read(r.try)
	r.b = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, os.NewSyscallError("read", r.err)
	case r.n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	busypoll.Carried(r.n)
	return r.n, nil
}

// Close closes the file.
func (r *pollReader) Close() error {
	r.waiter.Close()
	return r.file.Close()
}
