package sender

import "math/bits"

// byteQueue keeps bytes that are written one behind the other and forgotten in the same order. A position counts from when
// the byteQueue was made.
type byteQueue struct {
	head, tail uint64 // the positions of what is kept
	bytes      []byte // position p is at p & (len-1); the length is a power of two
}

// write appends the bytes of a and b.
func (t *byteQueue) write(a, b []byte) {
	if need := int(t.tail-t.head) + len(a) + len(b); need > len(t.bytes) {
		t.grow(need)
	}
	t.put(a)
	t.put(b)
}

func (t *byteQueue) put(b []byte) {
	if len(b) == 0 {
		return
	}
	at := t.tail & uint64(len(t.bytes)-1)
	n := copy(t.bytes[at:], b)
	copy(t.bytes, b[n:])
	t.tail += uint64(len(b))
}

// read appends the bytes from position a to b.
func (t *byteQueue) read(dst []byte, a, b uint64) []byte {
	if a == b {
		return dst
	}
	mask := uint64(len(t.bytes) - 1)
	if i, j := a&mask, b&mask; i < j {
		return append(dst, t.bytes[i:j]...)
	} else {
		return append(append(dst, t.bytes[i:]...), t.bytes[:j]...)
	}
}

func (t *byteQueue) grow(need int) {
	grown := byteQueue{tail: t.head, bytes: make([]byte, max(2048, 1<<bits.Len(uint(need-1))))}
	mask := uint64(len(t.bytes) - 1)
	if a, b := t.head&mask, t.tail&mask; t.head < t.tail && a < b {
		grown.put(t.bytes[a:b])
	} else if t.head < t.tail {
		grown.put(t.bytes[a:])
		grown.put(t.bytes[:b])
	}
	t.bytes = grown.bytes
}
