package node

import (
	"errors"
	"io"

	"github.com/coder/websocket"
)

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
