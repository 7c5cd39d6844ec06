package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
)

// The frames on the connection: four bytes of length, then the payload; or one of the two marks, alone.
const (
	headerSize = 4
	markPing   = 0xffffffff
	markBye    = 0xfffffffe // the sender has closed the channel
)

const (
	patience   = 12 * time.Second // without a byte from a peer: it is dead
	pings      = 3                // so often in this time the other side is shown that this one lives
	byeTime    = 200 * time.Millisecond
	bufferSize = 64 << 10
)

// watched is a connection whose reads fail when nothing came for a while.
type watched struct {
	net.Conn
	patience time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.patience)); err != nil {
		return 0, err
	}
	return w.Conn.Read(b)
}

// channel is the p2p.Channel.
type channel struct {
	conn   *tls.Conn
	silent time.Duration // after which the peer is dead
	onEnd  func(*channel)
	once   sync.Once
	ended  chan struct{} // closed by Close
	pinger sync.WaitGroup

	r     *bufio.Reader // Recv's
	frame []byte        // Recv's, for frames that do not fit in r

	mu  sync.Mutex // who writes
	buf []byte     // what is written next
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, bufferSize) }

func newChannel(conn *tls.Conn, silent time.Duration, onEnd func(*channel)) *channel {
	c := &channel{conn: conn, silent: silent, onEnd: onEnd, ended: make(chan struct{}), r: newReader(conn), buf: make([]byte, 0, bufferSize)}
	c.pinger.Go(c.ping)
	return c
}

// ping shows the other side that this one lives. A connection that is being written to needs none.
func (c *channel) ping() {
	tick := time.NewTicker(c.silent / pings)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.mark(markPing)
		case <-c.ended:
			return
		}
	}
}

func (c *channel) mark(m uint32) {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		_, _ = c.conn.Write(binary.BigEndian.AppendUint32(nil, m))
	}
}

// Send implements p2p.Channel: small frames leave in one write.
func (c *channel) Send(ctx context.Context, frames ...[]byte) error {
	for _, f := range frames {
		if len(f) > sdk.MaxFrame {
			return fmt.Errorf("tcp: a frame of %d bytes, at most %d are allowed", len(f), sdk.MaxFrame)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer context.AfterFunc(ctx, c.cut)()
	c.buf = c.buf[:0]
	for _, f := range frames {
		if len(c.buf)+headerSize+len(f) > bufferSize {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(len(f)))
		if len(f) < bufferSize-headerSize {
			c.buf = append(c.buf, f...)
			continue
		}
		if err := c.flush(ctx); err != nil {
			return err
		}
		if _, err := c.conn.Write(f); err != nil {
			return c.wrap(ctx, err)
		}
	}
	return c.flush(ctx)
}

func (c *channel) flush(ctx context.Context) error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.buf)
	c.buf = c.buf[:0]
	return c.wrap(ctx, err)
}

// Recv implements p2p.Channel.
func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	if head, _ := c.r.Peek(min(headerSize, c.r.Buffered())); len(head) < headerSize || int64(binary.BigEndian.Uint32(head)) > int64(c.r.Buffered()-headerSize) {
		defer context.AfterFunc(ctx, c.cut)() // it may have to wait
	}
	for {
		head, err := c.r.Peek(headerSize)
		if err != nil {
			return nil, c.wrap(ctx, err)
		}
		size := binary.BigEndian.Uint32(head)
		_, _ = c.r.Discard(headerSize)
		switch {
		case size == markPing:
			continue
		case size == markBye:
			return nil, io.EOF
		case size > sdk.MaxFrame:
			return nil, fmt.Errorf("tcp: the peer sends a frame of %d bytes, at most %d are allowed", size, sdk.MaxFrame)
		}
		return c.payload(ctx, int(size))
	}
}

// payload reads a frame, without a copy where it fits in the buffer.
func (c *channel) payload(ctx context.Context, size int) ([]byte, error) {
	if size <= bufferSize {
		frame, err := c.r.Peek(size)
		if err != nil {
			return nil, c.wrap(ctx, err)
		}
		_, _ = c.r.Discard(size)
		return frame, nil
	}
	for have := 0; have < size; {
		next := min(size, max(2*have, bufferSize)) // memory grows with what has come, not with what was announced
		if cap(c.frame) < next {
			grown := make([]byte, next)
			copy(grown, c.frame[:have])
			c.frame = grown
		}
		n, err := io.ReadFull(c.r, c.frame[have:next])
		if have += n; err != nil {
			return nil, c.wrap(ctx, err)
		}
	}
	return c.frame[:size], nil
}

// wrap says why the connection does not work any more. Without the other side's goodbye the end is not io.EOF.
func (c *channel) wrap(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("tcp: no sign of life from %s for %v", c.conn.RemoteAddr(), c.silent)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("tcp: the connection to %s is cut: %w", c.conn.RemoteAddr(), err)
}

// cut ends the connection without a word.
func (c *channel) cut() { _ = c.conn.NetConn().Close() }

// Close implements p2p.Channel. It says goodbye unless a Send is under way.
func (c *channel) Close() error {
	c.once.Do(func() {
		_ = c.conn.SetWriteDeadline(time.Now().Add(byeTime))
		c.mark(markBye)
		c.cut()
		close(c.ended)
		c.onEnd(c)
	})
	c.pinger.Wait()
	return nil
}
