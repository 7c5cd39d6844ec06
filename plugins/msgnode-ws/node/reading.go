package node

import (
	"errors"
	"io"
	"sync"

	"github.com/coder/websocket"
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

// errPacketSize ends a connection whose packet fits into no buffer. The WebSocket's own limit comes before.
var errPacketSize = errors.New("the packet is too large")

// readPacket reads a packet. It is the caller's until readDone.
func (c *conn) readPacket() (websocket.MessageType, []byte, error) {
	kind, r, err := c.ws.Reader(c.ctx)
	if err != nil {
		return 0, nil, err
	}
	b, err := c.readAll(r)
	return kind, b, err
}

// readAll is io.ReadAll for what a client sends, until readDone. Of a large packet, all that is reserved for it counts as
// kept: there may be many clients that send the rest never.
func (c *conn) readAll(r io.Reader) ([]byte, error) {
	all, in := &c.node.buffers, &c.reading
	in.buf, in.class = all.get(0), 0
	for {
		b := *in.buf
		if len(b) == cap(b) {
			if in.class+1 == len(all.classes) {
				return nil, errPacketSize
			}
			larger := all.get(in.class + 1)
			*larger = append(*larger, b...)
			all.put(in.class, in.buf)
			in.buf, in.class = larger, in.class+1
			c.remember(cap(*larger) - in.counted)
			if in.counted = cap(*larger); c.node.memory.Over() {
				c.node.relieve()
			}
			b = *larger
		}
		n, err := r.Read(b[len(b):cap(b)])
		*in.buf = b[:len(b)+n]
		if err == io.EOF {
			return *in.buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// readDone gives the buffer of the packet that was read last back.
func (c *conn) readDone() {
	in := &c.reading
	if in.buf == nil {
		return
	}
	if in.counted > 0 {
		c.remember(-in.counted)
	}
	c.node.buffers.put(in.class, in.buf)
	*in = reading{}
}
