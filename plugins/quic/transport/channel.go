package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

const (
	sendBuffer = 256 << 10 // how many bytes of small frames leave as one write
	maxPrompt  = 4 << 10   // and how many do without waiting: the stream copies them
)

// channel is a p2p.Channel on one QUIC stream.
type channel struct {
	arrival
	silence time.Duration // after which the peer is dead

	sending   watch
	out       []byte // frames that will leave as one write
	rest      []byte // what a Send that its context ended has not written; the next one begins with it
	receiving watch
	in        frameReader
	ledger    ledger // of Transport.watch
}

func newChannel(a arrival, silence time.Duration) *channel {
	c := &channel{arrival: a, silence: silence}
	c.sending.expire = a.stream.SetWriteDeadline
	c.receiving.expire = a.stream.SetReadDeadline
	c.in.source = a.stream
	return c
}

// forget lets go of the contexts of the last calls, when the connection is over.
func (c *channel) forget() {
	c.sending.release()
	c.receiving.release()
}

// Send writes the frames, as few writes as their sizes allow. Where ctx ends it, a first part of the frames is on its
// way; a frame that was begun is finished by the next Send, so the channel stays usable.
func (c *channel) Send(ctx context.Context, frames ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, f := range frames {
		if len(f) > sdk.MaxFrame {
			return fmt.Errorf("quic: frame %d of %d has %d bytes, at most %d", i+1, len(frames), len(f), sdk.MaxFrame)
		}
	}
	c.sending.over(ctx)
	if len(c.rest) > 0 {
		rest := c.rest
		c.rest = nil
		if err := c.write(ctx, rest); err != nil {
			return err
		}
	}
	room := writes.Get().(*[]byte)
	c.out = (*room)[:0]
	defer func() {
		if *room = c.out; cap(*room) <= 2*sendBuffer {
			writes.Put(room)
		}
		c.out = nil
	}()
	for _, f := range frames {
		if err := c.put(ctx, f); err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

// writes are the buffers of writes: an idle channel has none.
var writes = sync.Pool{New: func() any { return new([]byte) }}

// TrySend is Send where the stream takes all of it at once; see [p2p.Prompt].
func (c *channel) TrySend(frames ...[]byte) bool {
	if len(c.rest) > 0 {
		return false
	}
	size := 0
	for _, f := range frames {
		size += maxPrefix + len(f)
	}
	if size > maxPrompt {
		return false
	}
	room := writes.Get().(*[]byte)
	defer writes.Put(room)
	out := (*room)[:0]
	for _, f := range frames {
		out = append(appendPrefix(out, len(f)), f...)
	}
	*room = out
	return c.stream.TryWriteAll(out) == nil
}

// put adds one frame to what will be written; a big one is written at once, without a copy.
func (c *channel) put(ctx context.Context, frame []byte) error {
	if len(c.out) > 0 && len(c.out)+maxPrefix+len(frame) > sendBuffer {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	c.out = appendPrefix(c.out, len(frame))
	if len(c.out)+len(frame) <= sendBuffer {
		c.out = append(c.out, frame...)
		return nil
	}
	if err := c.flush(ctx); err != nil {
		c.rest = append(c.rest, frame...)
		return err
	}
	return c.write(ctx, frame)
}

func (c *channel) flush(ctx context.Context) error {
	out := c.out
	c.out = c.out[:0]
	return c.write(ctx, out)
}

// write keeps what it could not write for the next Send.
func (c *channel) write(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := c.stream.Write(b)
	if err == nil {
		return nil
	}
	c.rest = append([]byte(nil), b[n:]...)
	return c.why(ctx, err)
}

// Recv returns the next frame; it lies in the channel's buffer. Where ctx ends it, nothing is lost.
func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	for {
		frame, ok, err := c.in.next()
		if err != nil {
			c.close(codeBroken, "a frame breaks the protocol")
			return nil, fmt.Errorf("quic: %w: %w", p2p.ErrBroken, err)
		}
		if ok {
			return frame, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.receiving.over(ctx)
		if err := c.in.fill(); err != nil {
			if err = c.why(ctx, err); err == io.EOF {
				c.close(codeClosed, "") // the peer may have ended the stream alone
			}
			return nil, err
		}
	}
}

// Close ends the channel at once. What was sent and has not left is lost.
func (c *channel) Close() error {
	c.close(codeClosed, "")
	return nil
}

// why makes an error of the stream the channel's: io.EOF where the other side closed it.
func (c *channel) why(ctx context.Context, err error) error {
	var application *quic.ApplicationError
	var idle *quic.IdleTimeoutError
	var protocol *quic.TransportError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &application) && application.Remote && application.ErrorCode == codeClosed, errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &application) && !application.Remote && application.ErrorCode == codeClosed:
		return fmt.Errorf("quic: the channel is closed: %w", net.ErrClosed)
	case errors.As(err, &application) && !application.Remote && application.ErrorCode == codeBroken, errors.As(err, &protocol) && !protocol.Remote && violation(protocol.ErrorCode):
		return fmt.Errorf("quic: %w: %w", p2p.ErrBroken, err)
	case errors.As(err, &idle):
		return fmt.Errorf("quic: the peer is dead: nothing came from %s for %v: %w", c.conn.RemoteAddr(), c.silence, err)
	default:
		return fmt.Errorf("quic: the channel to %s broke: %w", c.conn.RemoteAddr(), err)
	}
}

// violation tells whether only a peer that breaks QUIC causes an error of this side.
func violation(code quic.TransportErrorCode) bool {
	switch code {
	case quic.FlowControlError, quic.StreamLimitError, quic.StreamStateError, quic.FinalSizeError, quic.FrameEncodingError,
		quic.ProtocolViolation, quic.ConnectionIDLimitError, quic.CryptoBufferExceeded:
		return true
	}
	return false
}

// watch makes the end of a context the end of one direction's blocking calls, through a deadline. It stays on a context
// from call to call, so that callers who keep using the same one pay for it once.
type watch struct {
	expire func(time.Time) error

	mu    sync.Mutex
	done  <-chan struct{} // of the context that is watched; nil: none
	stop  func() bool
	fired chan struct{} // closed when the deadline has been set
	ended bool          // the connection is over: nothing blocks any more
}

// over watches ctx instead of what was watched before.
func (w *watch) over(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Done() == w.done || w.ended {
		return
	}
	w.drop()
	if ctx.Done() == nil {
		return
	}
	fired := make(chan struct{})
	w.done, w.fired = ctx.Done(), fired
	w.stop = context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = w.expire(time.Unix(1, 0))
	})
}

// release watches nothing from now on.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.drop()
}

func (w *watch) drop() {
	if w.done == nil {
		return
	}
	if !w.stop() {
		<-w.fired
		_ = w.expire(time.Time{})
	}
	w.done, w.stop, w.fired = nil, nil, nil
}
