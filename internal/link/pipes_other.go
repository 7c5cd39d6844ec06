//go:build !unix

package link

import (
	"io"
	"os"
	"time"
)

// PipePair makes no pipes on this system: the link goes over gRPC.
func PipePair(time.Duration) (*Pipes, []*os.File, error) { return nil, nil, nil }

// InheritedPipes returns nil on this system.
func InheritedPipes() (*Pipes, error) { return nil, nil }

// writeNow never writes on this system: the goroutine that may wait writes everything.
func writeNow(*os.File) (func(b []byte) (int, error), error) {
	return func([]byte) (int, error) { return 0, nil }, nil
}

// polled reads as the file does.
func polled(in *os.File, _ time.Duration) (io.ReadCloser, error) { return in, nil }
