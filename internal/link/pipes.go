package link

import (
	"errors"
	"io"
	"os"
	"time"
)

// PipesVariable is the environment variable that tells a plug-in the numbers of two file descriptors, "3,4": the pipes
// that it reads from and writes to; only the host has the other ends. They carry the link's frames at a fraction of
// gRPC's cost; see PROTOCOL.md, "The pipes".
const PipesVariable = "PROTOFLY_LINK_PIPES"

// Pipes is one end of a pair of pipes, one for each direction.
//
// They are pipes because a Unix socket wakes its writer whenever the reader has taken something, whether or not the writer
// waits for room: a Go process, which polls its files, would wake up once for each message without anything to do.
type Pipes struct {
	in, out *os.File
	try     func(b []byte) (int, error)
	source  io.ReadCloser // in, read through busy polling
}

// endOf takes over two files. limit is how long [busypoll.Waiter] polls for bytes before it sleeps.
func endOf(in, out *os.File, limit time.Duration) (*Pipes, error) {
	try, err := writeNow(out)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	source, err := polled(in, limit)
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return &Pipes{in: in, out: out, try: try, source: source}, nil
}

// Close ends both directions.
func (p *Pipes) Close() error { return errors.Join(p.source.Close(), p.out.Close()) }

// pipeSize is how many unread bytes the kernel keeps for a pipe, as far as the system allows.
const pipeSize = 1 << 20
