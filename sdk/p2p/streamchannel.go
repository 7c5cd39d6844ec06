package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/buffers"
	"github.com/protofly/protofly/sdk"
)

// Conn is what a [StreamChannel] runs on: a reliable and ordered stream of bytes each way, as *tls.Conn, *net.TCPConn and a
// QUIC stream are. Reading returns io.EOF where the other side has ended the stream, and only then; in the middle of a frame,
// that counts as a cut connection. An error that wraps io.EOF says that the other side has closed the connection, at whatever
// point. The channel sets deadlines in the past, to free a Read or a Write, and takes them away again; one in the future it
// sets before Close alone, and only with [StreamOptions].Silence. Close frees both too.
//
// A Conn of messages may return io.ErrShortBuffer from a Read whose room is too small for the next message, and keep the
// message: it is read again with room for [StreamOptions].ReadSize bytes at least.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// PromptConn is a [Conn] that can tell whether a Write would wait.
type PromptConn interface {
	Conn
	// TryWrite writes all of b if that need not wait, and else tells so and has written nothing.
	TryWrite(b []byte) bool
}

// Aborter is a [Conn] that is given the reason when its channel gives it up: then Abort is called before Close. Where this side
// closes the channel, only Close is called.
type Aborter interface {
	Abort(why error)
}

// StreamOptions say how a [StreamChannel] uses its connection. Both ends need the same Lengths and Silence.
type StreamOptions struct {
	// Name begins the errors of the channel: the transport's, as "tcp".
	Name string
	// Lengths is how a frame's length is written.
	Lengths Lengths
	// Silence is the time after which a peer that sends nothing is dead: the channel sends a sign of life three times in
	// that time, and a goodbye when it closes. A stream that ends without a goodbye is a cut: the error is not io.EOF. It needs [FixedLengths].
	// 0: the connection does all of this itself.
	Silence time.Duration
	// WriteSize is the most bytes of one Write. 0: frames of up to 256 KiB together leave in one, and a larger one in one of its
	// own, without a copy.
	WriteSize int
	// ReadSize is what a busy channel reads at once, in bytes; an idle one has room for 1 KiB. 0: 256 KiB.
	ReadSize int
	// PromptSize is the most bytes of one TryWrite. 0: 4 KiB.
	PromptSize int
}

const (
	usualSize   = 256 << 10
	usualPrompt = 4 << 10
)

// StreamChannel is a [Channel] on a stream of bytes: each frame is its length and its payload. If the context of a Send or a
// Recv ends, the next Send finishes a frame that was begun, and nothing that came is lost, as far as the connection can be
// used after a deadline.
type StreamChannel struct {
	conn  Conn
	o     StreamOptions
	alive keepAlive

	once   sync.Once // for Close
	closed sync.Once // for the connection's
	err    error     // of it

	sending watch
	writing sync.Mutex // guards what follows: signs of life leave from another goroutine
	out     []byte     // frames that will leave as one write
	backlog []byte     // what a Send whose context ended has not written; the next Send begins with it

	receiving watch
	in        frameReader
}

// PromptStreamChannel is a [StreamChannel] that is a [Prompt] too.
type PromptStreamChannel struct {
	StreamChannel
	try func([]byte) bool
}

// NewStreamChannel makes a channel of a connection, which belongs to it from now on.
func NewStreamChannel(conn Conn, o StreamOptions) *StreamChannel {
	c := &StreamChannel{}
	c.start(conn, o)
	return c
}

// NewPromptStreamChannel is [NewStreamChannel] for a connection that can tell whether a Write would wait.
func NewPromptStreamChannel(conn PromptConn, o StreamOptions) *PromptStreamChannel {
	c := &PromptStreamChannel{try: conn.TryWrite}
	c.start(conn, o)
	return c
}

func (c *StreamChannel) start(conn Conn, o StreamOptions) {
	if o.ReadSize == 0 {
		o.ReadSize = usualSize
	}
	if o.PromptSize == 0 {
		o.PromptSize = usualPrompt
	}
	c.conn, c.o = conn, o
	c.sending.expire, c.receiving.expire = conn.SetWriteDeadline, conn.SetReadDeadline
	c.in = frameReader{source: conn, lengths: o.Lengths, marks: o.Silence > 0, busy: o.ReadSize}
	if o.Silence > 0 {
		c.alive.start(c)
	}
}

// Send implements [Channel]: as few writes as the frames' sizes allow.
func (c *StreamChannel) Send(ctx context.Context, frames ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	size := 0
	for i, f := range frames {
		if len(f) > sdk.MaxFrame {
			return fmt.Errorf("%s: frame %d of %d has %d bytes, at most %d", c.o.Name, i+1, len(frames), len(f), sdk.MaxFrame)
		}
		size += maxLength + len(f)
	}
	c.sending.over(ctx)
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.o.Silence > 0 { // signs of life, and the goodbye, must not meet the end of this context
		defer c.sending.over(context.Background())
	}
	if len(c.backlog) > 0 {
		backlog := c.backlog
		c.backlog = nil
		if err := c.write(ctx, backlog); err != nil {
			return err
		}
	}
	room := buffers.Get(min(size, c.batch()))
	c.out = *room
	defer func() {
		*room, c.out = c.out, nil
		buffers.Put(room)
	}()
	for _, f := range frames {
		if err := c.put(ctx, f); err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

// batch is how many bytes of frames are put together.
func (c *StreamChannel) batch() int {
	if c.o.WriteSize > 0 {
		return c.o.WriteSize
	}
	return usualSize
}

// TrySend is Send where the connection takes all of it at once; see [Prompt].
func (c *PromptStreamChannel) TrySend(frames ...[]byte) bool {
	size := 0
	for _, f := range frames {
		size += maxLength + len(f)
	}
	if size > c.o.PromptSize || !c.writing.TryLock() {
		return false
	}
	defer c.writing.Unlock()
	if len(c.backlog) > 0 {
		return false
	}
	room := buffers.Get(size)
	for _, f := range frames {
		*room = append(c.o.Lengths.append(*room, len(f)), f...)
	}
	taken := c.try(*room)
	buffers.Put(room)
	return taken
}

// put adds one frame to what will be written.
func (c *StreamChannel) put(ctx context.Context, frame []byte) error {
	if len(c.out) > 0 && len(c.out)+maxLength+len(frame) > c.batch() && (c.o.WriteSize == 0 || len(c.out)+maxLength > c.o.WriteSize) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	c.out = c.o.Lengths.append(c.out, len(frame))
	if c.o.WriteSize == 0 && len(c.out)+len(frame) > usualSize {
		if err := c.flush(ctx); err != nil {
			c.backlog = append(c.backlog, frame...)
			return err
		}
		return c.write(ctx, frame)
	}
	for len(c.out)+len(frame) > c.batch() {
		n := c.batch() - len(c.out)
		c.out, frame = append(c.out, frame[:n]...), frame[n:]
		if err := c.flush(ctx); err != nil {
			c.backlog = append(c.backlog, frame...)
			return err
		}
	}
	c.out = append(c.out, frame...)
	return nil
}

func (c *StreamChannel) flush(ctx context.Context) error {
	out := c.out
	c.out = c.out[:0]
	return c.write(ctx, out)
}

// write keeps what it could not write for the next Send.
func (c *StreamChannel) write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		next := b
		if c.o.WriteSize > 0 { // what an earlier Send has not written may be more
			next = b[:min(len(b), c.o.WriteSize)]
		}
		n, err := c.conn.Write(next)
		if err != nil {
			c.backlog = append([]byte(nil), b[n:]...)
			return c.why(ctx, err)
		}
		b = b[len(next):]
	}
	return nil
}

// Recv implements [Channel]. The frame lies in the channel's buffer.
func (c *StreamChannel) Recv(ctx context.Context) ([]byte, error) {
	for {
		frame, ok, err := c.in.next()
		if err == io.EOF {
			c.closeConn()
			return nil, err
		}
		if err != nil {
			err = fmt.Errorf("%s: %w: %w", c.o.Name, ErrBroken, err)
			c.abort(err)
			return nil, err
		}
		if ok {
			return frame, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.receiving.over(ctx)
		c.alive.waiting(true)
		err = c.in.fill()
		c.alive.waiting(false)
		if err == nil {
			continue
		}
		switch err = c.why(ctx, err); err {
		case io.EOF:
			c.closeConn() // the peer may have ended its half alone
		case io.ErrUnexpectedEOF:
			err = fmt.Errorf("%s: the connection is cut: %w", c.o.Name, err)
		}
		return nil, err
	}
}

// why turns an error of the connection into one of the channel.
func (c *StreamChannel) why(ctx context.Context, err error) error {
	if dead := c.alive.dead.Load(); dead != nil {
		return *dead
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctx.Err()
	}
	if c.o.Silence == 0 && errors.Is(err, io.EOF) { // else the channel itself says that it is closed
		return io.EOF
	}
	return err
}

// abort gives the connection up because of what the peer has done, or has not.
func (c *StreamChannel) abort(why error) {
	if a, ok := c.conn.(Aborter); ok {
		a.Abort(why)
	}
	c.closeConn()
}

func (c *StreamChannel) closeConn() {
	c.closed.Do(func() { c.err = c.conn.Close() })
}

// Close implements [Channel].
func (c *StreamChannel) Close() error {
	c.once.Do(func() {
		c.sending.release() // the context of the last call may be ending now, and would end the goodbye too
		if c.o.Silence > 0 {
			c.goodbye()
		}
		c.closeConn()
		c.receiving.release() // the context of the last call may live for long
		c.alive.stop()
	})
	return c.err
}
