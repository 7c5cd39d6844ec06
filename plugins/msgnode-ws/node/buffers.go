package node

import (
	"sync"
)

// buffers are what packets are read into. They are shared by all connections: one that is silent has none.
type buffers struct{ classes [5]sync.Pool } // of *[]byte with 16, 64, 256 KiB, 1 and 4 MiB

// smallPacket is the size of the smallest buffer. One is not counted.
const smallPacket = 16 << 10

func (b *buffers) get(class int) *[]byte {
	if buf, ok := b.classes[class].Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, 0, smallPacket<<(2*class))
	return &buf
}

func (b *buffers) put(class int, buf *[]byte) {
	*buf = (*buf)[:0]
	b.classes[class].Put(buf)
}

// reading is the packet that a connection reads, or has read and works on.
type reading struct {
	buf     *[]byte // nil: none
	class   int
	counted int // bytes of it that count as kept
}
