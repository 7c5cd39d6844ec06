package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/p2p"
)

const (
	maxMessage = 60 << 10  // of one SCTP message
	highWater  = 1 << 20   // bytes waiting in the library at which Send blocks
	lowWater   = 512 << 10 // and goes on
	lengthSize = 4

	smallRoom = 2 << 10  // of a channel that is idle, for messages that come in
	largeRoom = 64 << 10 // of one that is not
	calm      = 64       // small messages in a row, after which a channel counts as idle
)

// messages has room for what Send is filling; a channel that sends nothing has none.
var messages = sync.Pool{New: func() any {
	b := make([]byte, 0, maxMessage)
	return &b
}}

// channel is a data channel used as a stream of length-prefixed frames.
type channel struct {
	transport *Transport
	claims    []string
	pc        *webrtc.PeerConnection
	stream    *datachannel.DataChannel
	meter     *meter

	drained chan struct{} // has a token when little waits in the library
	out     []byte        // the message that Send is filling; of messages

	in    []byte // one message's room, small until a larger one comes
	quiet int    // messages in a row that had needed no more than smallRoom
	left  []byte // what of in has not been read
	frame []byte // the frame given out last

	once sync.Once
	done chan struct{} // closed when the channel has ended
	why  error         // before that
}

func newChannel(s *setup, stream *datachannel.DataChannel) *channel {
	c := &channel{
		transport: s.t, claims: s.claims, pc: s.pc, stream: stream, meter: s.meter, drained: make(chan struct{}, 1), done: make(chan struct{}),
		in: make([]byte, smallRoom),
	}
	stream.SetBufferedAmountLowThreshold(lowWater)
	stream.OnBufferedAmountLow(func() {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	})
	s.pc.OnICECandidate(func(*webrtc.ICECandidate) {}) // the set-up is over: let go of it
	w := s.watch
	s.pc.OnDataChannel(func(*webrtc.DataChannel) { w.end(errSecondChannel) })
	w.pass(c.end)
	return c
}

// Send sends the frames; see [p2p.Channel].
func (c *channel) Send(ctx context.Context, frames ...[]byte) error {
	room := messages.Get().(*[]byte)
	c.out = (*room)[:0]
	defer func() {
		c.out = nil
		messages.Put(room)
	}()
	for _, frame := range frames {
		if len(frame) > sdk.MaxFrame {
			return fmt.Errorf("webrtc: a frame of %d bytes, at most %d", len(frame), sdk.MaxFrame)
		}
		if len(c.out)+lengthSize > maxMessage {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(len(frame)))
		for len(frame) > 0 {
			if len(c.out) == maxMessage {
				if err := c.flush(ctx); err != nil {
					return err
				}
			}
			n := min(len(frame), maxMessage-len(c.out))
			c.out = append(c.out, frame[:n]...)
			frame = frame[n:]
		}
	}
	return c.flush(ctx)
}

// maxPrompt is how many bytes TrySend takes: they are one message.
const maxPrompt = 16 << 10

// TrySend is Send where the library has room; see [p2p.Prompt].
func (c *channel) TrySend(frames ...[]byte) bool {
	size := 0
	for _, f := range frames {
		size += lengthSize + len(f)
	}
	if size > maxPrompt || c.stream.BufferedAmount() > highWater {
		return false
	}
	return c.Send(context.Background(), frames...) == nil // nobody else fills the library: it does not wait
}

// flush writes one message when the library has room for it.
func (c *channel) flush(ctx context.Context) error {
	if len(c.out) == 0 {
		return nil
	}
	for c.stream.BufferedAmount() > highWater {
		select {
		case <-c.drained:
		case <-c.done:
			return c.ended()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-c.done:
		return c.ended()
	default:
	}
	if _, err := c.stream.Write(c.out); err != nil {
		c.end(err)
		return c.ended()
	}
	c.out = c.out[:0]
	return nil
}

// Recv returns the next frame; see [p2p.Channel].
func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	var head [lengthSize]byte
	if err := c.read(ctx, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > sdk.MaxFrame {
		c.end(fmt.Errorf("the peer announced a frame of %d bytes, at most %d are allowed", size, sdk.MaxFrame))
		return nil, c.ended()
	}
	if int(size) <= len(c.left) { // the usual case: it is there whole
		frame := c.left[:size:size]
		c.left = c.left[size:]
		return frame, nil
	}
	if cap(c.frame) < int(size) {
		c.frame = make([]byte, size)
	}
	c.frame = c.frame[:size]
	if err := c.read(ctx, c.frame); err != nil {
		return nil, err
	}
	return c.frame, nil
}

// read fills b from the stream. A Recv that ctx ended in the middle of a frame cannot be continued, so it ends the
// channel.
func (c *channel) read(ctx context.Context, b []byte) error {
	started := false
	for len(b) > 0 {
		if len(c.left) == 0 {
			n, err := c.next(ctx)
			if err != nil {
				if started && ctx.Err() != nil {
					c.end(errors.New("given up in the middle of a frame"))
				}
				return err
			}
			c.left = c.in[:n]
			c.settle(n)
			continue
		}
		n := copy(b, c.left)
		b, c.left, started = b[n:], c.left[n:], true
	}
	return nil
}

// settle notes the size of a message, and gives back the room of large ones when none has come for a while. What was
// read stays where it is until it has been taken.
func (c *channel) settle(n int) {
	if c.quiet++; n > smallRoom || len(c.in) == smallRoom {
		c.quiet = 0
	}
	if c.quiet == calm {
		c.in, c.frame, c.quiet = make([]byte, smallRoom), nil, 0
	}
}

// next reads one SCTP message.
func (c *channel) next(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	_ = c.stream.SetReadDeadline(time.Time{})
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.stream.SetReadDeadline(time.Unix(1, 0))
		close(fired)
	})
	select {
	case <-c.done: // after the deadline was cleared: end sets it again
		stop()
		return 0, c.ended()
	default:
	}
	n, err := c.take()
	if !stop() {
		<-fired
	}
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return 0, ctx.Err()
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		// A peer that died ends the connection, not the stream. So the peer has closed it, whatever the library, which
		// answers the peer's reset at this point, says about its own answer.
		c.end(io.EOF)
	}
	return 0, c.ended()
}

// take waits for the next message.
func (c *channel) take() (int, error) {
	n, text, err := c.stream.ReadDataChannel(c.in)
	if errors.Is(err, io.ErrShortBuffer) && len(c.in) < largeRoom { // the message is still there
		c.in = make([]byte, largeRoom)
		n, text, err = c.stream.ReadDataChannel(c.in)
	}
	switch {
	case errors.Is(err, io.ErrShortBuffer):
		err = fmt.Errorf("%w: a message of more than %d bytes", p2p.ErrBroken, largeRoom)
		c.end(err)
	case err == nil && text:
		err = fmt.Errorf("%w: a message of %d bytes that is text", p2p.ErrBroken, n)
		c.end(err)
	case err == nil:
		c.meter.read(n)
	}
	return n, err
}

// ended is why the channel has ended; it has.
func (c *channel) ended() error {
	<-c.done
	if errors.Is(c.why, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("webrtc channel: %w", c.why)
}

// end ends the channel for the reason why, once. It may be called from the library's goroutines, so the connection is
// closed from one of its own.
func (c *channel) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.done)
		_ = c.stream.SetReadDeadline(time.Unix(1, 0))
		c.transport.forget(c)
		go c.closeConnection()
	})
}

func (c *channel) closeConnection() {
	defer c.transport.wg.Done()
	_ = c.stream.Close() // resets the stream: the other side reads io.EOF
	_ = c.pc.GracefulClose()
	c.transport.release(c.claims...)
	if c.meter.unread.Load() > maxUnread/2 {
		// Some 25 MiB are garbage, and the collector of a busy process (package rest) would leave those of several peers.
		runtime.GC()
	}
}

// Close ends the channel; see [p2p.Channel].
func (c *channel) Close() error {
	c.end(io.EOF)
	return nil
}
