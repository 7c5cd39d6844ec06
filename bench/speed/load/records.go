package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Records carries messages on a byte stream, each after its length, as a good program without a framework does. Messages that
// follow each other at once are batched into writes of 64 KiB.
type Records struct {
	in  *bufio.Reader
	end func()

	mu  sync.Mutex
	out *bufio.Writer
}

const (
	recordBuffer = 64 << 10
	maxRecord    = 1 << 20
	headSize     = 4
)

// NewRecords makes Records on a stream. end makes reads fail; it is called when the context of [Records.Run] ends.
func NewRecords(stream io.ReadWriter, end func()) *Records {
	return &Records{in: bufio.NewReaderSize(stream, recordBuffer), out: bufio.NewWriterSize(stream, recordBuffer), end: end}
}

var _ Conn = (*Records)(nil)

// Send implements [Conn].
func (r *Records) Send(_ context.Context, b []byte, more bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.out.Write(binary.BigEndian.AppendUint32(r.out.AvailableBuffer(), uint32(len(b)))); err != nil {
		return err
	}
	if _, err := r.out.Write(b); err != nil || more {
		return err
	}
	return r.out.Flush()
}

// Run implements [Conn].
func (r *Records) Run(ctx context.Context, take func(b []byte)) error {
	stop := context.AfterFunc(ctx, r.end)
	defer stop()
	var buffer []byte
	for {
		head, err := r.in.Peek(headSize)
		if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head))
		if n > maxRecord {
			return fmt.Errorf("a record of %d bytes", n)
		}
		_, _ = r.in.Discard(headSize) // cannot fail after Peek
		if n > cap(buffer) {
			buffer = make([]byte, n)
		}
		buffer = buffer[:n]
		if _, err := io.ReadFull(r.in, buffer); err != nil {
			return err
		}
		take(buffer)
	}
}
