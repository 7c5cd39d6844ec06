package conn

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/internal/buffers"
)

// errPacketSize ends a connection whose packet fits into no buffer. The WebSocket's own limit is reached before.
var errPacketSize = errors.New("the packet is too large")

// ReadPacket reads a packet. It is the caller's until [Conn.ReadDone].
func (c *Conn) ReadPacket() (websocket.MessageType, []byte, error) {
	kind, r, err := c.ws.Reader(c.ctx)
	if err != nil {
		return 0, nil, err
	}
	b, err := c.readAll(r)
	return kind, b, err
}

// A packet is read into a buffer of smallPacket bytes, which is not counted; then into one of four times as much, up to
// largestPacket.
const (
	smallPacket   = 16 << 10
	largestPacket = 4 << 20
)

// readAll is io.ReadAll for what a client sends, until [Conn.ReadDone]. The whole buffer of a large packet counts as kept:
// there may be many clients that never send the rest.
func (c *Conn) readAll(r io.Reader) ([]byte, error) {
	in := &c.reading
	in.buf = buffers.Get(smallPacket)
	for {
		b := *in.buf
		if len(b) == cap(b) {
			if cap(b) >= largestPacket {
				return nil, errPacketSize
			}
			larger := buffers.Get(4 * cap(b))
			*larger = append(*larger, b...)
			buffers.Put(in.buf)
			in.buf = larger
			c.Remember(cap(*larger) - in.counted)
			if in.counted = cap(*larger); c.all.Memory.Over() {
				c.all.relieve()
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

// ReadDone gives back the buffer of the packet that was read last.
func (c *Conn) ReadDone() {
	in := &c.reading
	if in.buf == nil {
		return
	}
	if in.counted > 0 {
		c.Remember(-in.counted)
	}
	buffers.Put(in.buf)
	*in = reading{}
}

// ReadText reads a packet of at most so many bytes, which the caller may keep. The rest of a longer text is read and dropped:
// size is its length, and text its beginning. The rest of a longer packet of another type is not read: then the connection
// cannot be used any more.
func (c *Conn) ReadText(most int) (t websocket.MessageType, text []byte, size int64, err error) {
	t, r, err := c.ws.Reader(c.ctx)
	if err != nil {
		return 0, nil, 0, err
	}
	text, err = c.readAll(io.LimitReader(r, int64(most)+1))
	text = bytes.Clone(text) // parts of it may be kept
	c.ReadDone()
	if err != nil || len(text) <= most || t != websocket.MessageText {
		return t, text, int64(len(text)), err
	}
	rest, err := io.Copy(io.Discard, r)
	return t, text, int64(len(text)) + rest, err
}

// SetReadLimit bounds the packets that are read from now on, in bytes: a longer one ends the connection.
func (c *Conn) SetReadLimit(size int64) { c.ws.SetReadLimit(size) }

// ReadEnd is how a connection ended, for the log; an ordinary end is nil.
func ReadEnd(err error) error {
	if errors.As(err, new(websocket.CloseError)) {
		return nil
	}
	return err
}

// Exchange is for a handshake, before anything is queued: it writes a packet at once and reads the next one; nil: it writes none.
func (c *Conn) Exchange(ctx context.Context, packet []byte) ([]byte, error) {
	if packet != nil {
		if err := c.ws.Write(ctx, websocket.MessageBinary, packet); err != nil {
			return nil, err
		}
	}
	_, answer, err := c.ws.Read(ctx)
	return answer, err
}
