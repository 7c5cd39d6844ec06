package transport

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/protofly/protofly/sdk"
)

// A frame on the stream is its length as an unsigned varint and its payload.
const (
	maxPrefix  = 3 // bytes: 7 bits each are enough for sdk.MaxFrame
	firstSpace = 1 << 10
	readSpace  = 256 << 10 // what a busy channel reads at once
)

var errPrefix = errors.New("a frame's length is not a varint in its shortest form")

// appendPrefix appends the length of a frame.
func appendPrefix(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// parsePrefix reads a frame's length and how many bytes it takes; size 0 means that more bytes are needed.
func parsePrefix(b []byte) (n, size int, err error) {
	for i := 0; i < len(b); i++ {
		if i == maxPrefix {
			return 0, 0, fmt.Errorf("a frame is longer than %d bytes", sdk.MaxFrame)
		}
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if i > 0 && b[i] == 0 {
				return 0, 0, errPrefix
			}
			if n > sdk.MaxFrame {
				return 0, 0, fmt.Errorf("a frame of %d bytes, at most %d", n, sdk.MaxFrame)
			}
			return n, i + 1, nil
		}
	}
	if len(b) >= maxPrefix {
		return 0, 0, fmt.Errorf("a frame is longer than %d bytes", sdk.MaxFrame)
	}
	return 0, 0, nil
}

// frameReader cuts a stream into frames. Its one buffer holds what was read: it begins small, doubles only when a read
// has filled it, and shrinks again after a big frame.
type frameReader struct {
	source io.Reader
	buf    []byte
	r, w   int // buf[r:w] is to be cut
	need   int // bytes from r to the end of the frame that is incomplete; 0: not known
	full   bool
	calm   int           // fills since a frame was too big for readSpace
	total  atomic.Uint64 // bytes read
}

// keepBig is how many fills after a big frame its room is kept for the next.
const keepBig = 64

// next cuts the next frame that is there whole. It stays valid until the next fill.
func (f *frameReader) next() (frame []byte, ok bool, err error) {
	n, size, err := parsePrefix(f.buf[f.r:f.w])
	if err != nil {
		return nil, false, err
	}
	f.need = 0
	if size == 0 {
		return nil, false, nil
	}
	if f.need = size + n; f.w-f.r < f.need {
		return nil, false, nil
	}
	begin := f.r + size
	f.r, f.need = begin+n, 0
	return f.buf[begin:f.r:f.r], true, nil
}

// fill reads once. An error comes only with no bytes, so what came before it is cut first.
func (f *frameReader) fill() error {
	f.makeRoom()
	n, err := f.source.Read(f.buf[f.w:])
	f.w += n
	f.total.Add(uint64(n))
	f.full = f.w == len(f.buf)
	if n > 0 {
		return nil
	}
	if err == io.EOF && f.r < f.w {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom moves what is left to the front, and grows or shrinks the buffer.
func (f *frameReader) makeRoom() {
	left := f.w - f.r
	space := max(len(f.buf), firstSpace)
	switch {
	case f.full && space < readSpace:
		space *= 2 // the peer sends faster than this
	case left == len(f.buf) && left > 0:
		space = min(space*2, max(f.need, readSpace)) // inside a big frame
	case space > readSpace && max(f.need, left) <= readSpace && f.calm > keepBig:
		space = readSpace // after one
	}
	if f.calm++; f.need > readSpace {
		f.calm = 0
	}
	f.full = false
	if space == len(f.buf) {
		copy(f.buf, f.buf[f.r:f.w])
	} else {
		grown := make([]byte, space)
		copy(grown, f.buf[f.r:f.w])
		f.buf = grown
	}
	f.r, f.w = 0, left
}
