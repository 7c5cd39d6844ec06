package p2p

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/protofly/protofly/sdk"
)

// Lengths is how the length of a frame is written before it.
type Lengths int

const (
	// FixedLengths are four bytes, big-endian. With [StreamOptions].Silence there are two marks of four bytes, which stand alone:
	// 0xffffffff is a sign of life, 0xfffffffe says that its sender has closed the channel.
	FixedLengths Lengths = iota
	// VarintLengths are unsigned varints in their shortest form, of one to three bytes.
	VarintLengths
)

const (
	fixedLength = 4
	maxVarint   = 3 // bytes: 7 bits each are enough for sdk.MaxFrame
	maxLength   = fixedLength
	markLife    = 0xffffffff
	markClosed  = 0xfffffffe
	firstSpace  = 1 << 10
	keepSpace   = 64 // reads that did not need it, for which room is kept
	growth      = 2
)

var errVarint = errors.New("a frame's length is not a varint in its shortest form")

// mark encodes a mark, which stands alone in the stream.
func mark(m uint32) []byte { return binary.BigEndian.AppendUint32(nil, m) }

// append appends the length of a frame.
func (l Lengths) append(b []byte, n int) []byte {
	if l == FixedLengths {
		return binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// parse reads a frame's length and how many bytes it takes; size 0 means that more bytes are needed.
func (l Lengths) parse(b []byte) (n, size int, err error) {
	if l == FixedLengths {
		if len(b) < fixedLength {
			return 0, 0, nil
		}
		n := binary.BigEndian.Uint32(b)
		if n > sdk.MaxFrame {
			return 0, 0, fmt.Errorf("a frame of %d bytes, at most %d", n, sdk.MaxFrame)
		}
		return int(n), fixedLength, nil
	}
	for i := 0; i < len(b); i++ {
		if i == maxVarint {
			return 0, 0, fmt.Errorf("a frame is longer than %d bytes", sdk.MaxFrame)
		}
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if i > 0 && b[i] == 0 {
				return 0, 0, errVarint
			}
			if n > sdk.MaxFrame {
				return 0, 0, fmt.Errorf("a frame of %d bytes, at most %d", n, sdk.MaxFrame)
			}
			return n, i + 1, nil
		}
	}
	if len(b) >= maxVarint {
		return 0, 0, fmt.Errorf("a frame is longer than %d bytes", sdk.MaxFrame)
	}
	return 0, 0, nil
}

// frameReader cuts a stream into frames. Its one buffer holds what was read: it begins small, grows with what has come and not
// with what was announced, and shrinks again when less comes.
type frameReader struct {
	source  io.Reader
	lengths Lengths
	marks   bool // may come
	busy    int  // what is read at once while much comes

	buf   []byte
	r, w  int  // buf[r:w] is to be cut
	need  int  // bytes from r to the end of the frame that is incomplete; 0: not known
	full  bool // the last read has filled the buffer
	short bool // the last read needs more room
	calm  int  // reads in a row that needed no more than the next smaller size
}

// next cuts the next frame that is there whole. It stays valid until the next fill. Where the mark of a closed channel has come
// the error is io.EOF.
func (f *frameReader) next() (frame []byte, ok bool, err error) {
	for f.marks && f.w-f.r >= fixedLength && f.need == 0 {
		m := binary.BigEndian.Uint32(f.buf[f.r:])
		if m == markClosed {
			return nil, false, io.EOF
		}
		if m != markLife {
			break
		}
		f.r += fixedLength
	}
	n, size, err := f.lengths.parse(f.buf[f.r:f.w])
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
	f.full = f.w == len(f.buf)
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.ErrShortBuffer) && len(f.buf)-f.w < f.busy:
		f.short = true
		return nil
	case err == io.EOF && (f.r < f.w || f.marks):
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom moves what is left to the front, and grows or shrinks the buffer.
func (f *frameReader) makeRoom() {
	left := f.w - f.r
	space := f.space(left)
	f.full, f.short = false, false
	if space == len(f.buf) {
		copy(f.buf, f.buf[f.r:f.w])
	} else {
		grown := make([]byte, space)
		copy(grown, f.buf[f.r:f.w])
		f.buf = grown
	}
	f.r, f.w = 0, left
}

// space is how large the buffer is from now on.
func (f *frameReader) space(left int) int {
	space := max(len(f.buf), firstSpace)
	smaller := firstSpace
	if space > f.busy {
		smaller = f.busy
	}
	if f.calm++; max(f.need, f.w) > smaller {
		f.calm = 0
	}
	switch {
	case f.short:
		return max(space, left+f.busy)
	case f.full && space < f.busy:
		return space * growth // the peer sends faster than this
	case left == len(f.buf) && left > 0:
		return min(space*growth, max(f.need, f.busy)) // inside a large frame
	case f.calm > keepSpace && space > smaller && max(f.need, left) <= smaller:
		f.calm = 0
		return smaller
	}
	return space
}
