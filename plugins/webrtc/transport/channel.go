package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

const (
	maxMessage = 60 << 10  // bytes of one SCTP message
	lengthSize = 4         // bytes of a frame's length
	highWater  = 1 << 20   // Send blocks when so many bytes wait in the library,
	lowWater   = 512 << 10 // and goes on when only so many do
	largeRoom  = 64 << 10  // bytes in which every message fits
	maxPrompt  = 16 << 10  // the most bytes that TrySend accepts; they are one message
)

// channel is a data channel used as a stream of frames.
type channel struct {
	*p2p.PromptStreamChannel
	*conn
}

// Close ends the channel; see [p2p.Channel].
func (c *channel) Close() error { return c.PromptStreamChannel.Close() }

func newChannel(s *setup, stream *datachannel.DataChannel) *channel {
	c := newConn(s, stream)
	o := p2p.StreamOptions{Name: "webrtc", Lengths: p2p.FixedLengths, WriteSize: maxMessage, ReadSize: largeRoom, PromptSize: maxPrompt}
	return &channel{p2p.NewPromptStreamChannel(c, o), c}
}

// conn is a data channel as a p2p.PromptConn: each Write is one SCTP message, each Read returns one.
type conn struct {
	transport *Transport
	claims    []string
	pc        *webrtc.PeerConnection
	stream    *datachannel.DataChannel
	meter     *meter

	drained chan struct{} // has a token when the library is below lowWater

	once sync.Once
	done chan struct{} // closed when the channel has ended
	why  error         // set before done is closed

	deadlines sync.Mutex
	expired   chan struct{} // closed while the deadline of Write is in the past
}

func newConn(s *setup, stream *datachannel.DataChannel) *conn {
	c := &conn{
		transport: s.t, claims: s.claims, pc: s.pc, stream: stream, meter: s.meter, drained: make(chan struct{}, 1), done: make(chan struct{}),
		expired: make(chan struct{}),
	}
	stream.SetBufferedAmountLowThreshold(lowWater)
	stream.OnBufferedAmountLow(func() {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	})
	s.pc.OnICECandidate(func(*webrtc.ICECandidate) {}) // the set-up is over: this releases its memory
	w := s.watch
	s.pc.OnDataChannel(func(*webrtc.DataChannel) { w.end(errSecondChannel) })
	w.pass(c.end)
	return c
}

// Write sends b, of maxMessage bytes at most, as one message when the library has room for it.
func (c *conn) Write(b []byte) (int, error) {
	for c.stream.BufferedAmount() > highWater {
		select {
		case <-c.drained:
		case <-c.done:
			return 0, c.ended()
		case <-c.late():
			return 0, os.ErrDeadlineExceeded
		}
	}
	select {
	case <-c.done:
		return 0, c.ended()
	default:
	}
	n, err := c.stream.Write(b)
	if err != nil {
		c.end(err)
		return n, c.ended()
	}
	return n, nil
}

// TryWrite implements [p2p.PromptConn].
func (c *conn) TryWrite(b []byte) bool {
	if c.stream.BufferedAmount() > highWater {
		return false
	}
	_, err := c.Write(b) // does not block, since nobody else writes
	return err == nil
}

// late is closed while the deadline of Write is in the past.
func (c *conn) late() <-chan struct{} {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	return c.expired
}

// SetWriteDeadline takes a deadline in the past, or none.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	over := false
	select {
	case <-c.expired:
		over = true
	default:
	}
	switch {
	case t.IsZero() && over:
		c.expired = make(chan struct{})
	case !t.IsZero() && !over:
		close(c.expired)
	}
	return nil
}

// SetReadDeadline frees Read, or lets it wait again unless the channel has ended.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	select {
	case <-c.done:
		t = time.Unix(1, 0)
	default:
	}
	return c.stream.SetReadDeadline(t)
}

// Read reads one SCTP message. Where it does not fit in b, the error is io.ErrShortBuffer, and it stays.
func (c *conn) Read(b []byte) (int, error) {
	select {
	case <-c.done: // data that is left in the library is not read any more
		return 0, c.readEnded()
	default:
	}
	n, text, err := c.stream.ReadDataChannel(b)
	switch {
	case err == nil && !text:
		c.meter.read(n)
		return n, nil
	case err == nil:
		c.end(fmt.Errorf("%w: a message of %d bytes that is text", p2p.ErrBroken, n))
	case errors.Is(err, io.ErrShortBuffer) && len(b) < largeRoom:
		return 0, err
	case errors.Is(err, io.ErrShortBuffer):
		c.end(fmt.Errorf("%w: a message of more than %d bytes", p2p.ErrBroken, largeRoom))
	case errors.Is(err, os.ErrDeadlineExceeded):
		select {
		case <-c.done:
		default:
			return 0, err
		}
	default:
		// The death of a peer ends the connection and not the stream. So the peer has closed the stream, whatever error the
		// library returns about its answer to that.
		c.end(io.EOF)
	}
	return 0, c.readEnded()
}

// errPeerClosed is the end of a channel that was closed, maybe in the middle of a frame.
var errPeerClosed = fmt.Errorf("webrtc: the channel is closed: %w", io.EOF)

// readEnded returns the error of Read after the end.
func (c *conn) readEnded() error {
	err := c.ended()
	if err == io.EOF {
		return errPeerClosed
	}
	return err
}

// ended returns why the channel has ended. It is called after the end.
func (c *conn) ended() error {
	<-c.done
	if errors.Is(c.why, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("webrtc channel: %w", c.why)
}

// end ends the channel, once; why is the reason. It may be called from the library's goroutines, so it closes the connection in
// another goroutine.
func (c *conn) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.done)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		c.transport.forget(c)
		go c.closeConnection()
	})
}

func (c *conn) closeConnection() {
	defer c.transport.wg.Done()
	_ = c.stream.Close() // resets the stream: the other side reads io.EOF
	_ = c.pc.GracefulClose()
	c.transport.release(c.claims...)
	if c.meter.unread.Load() > maxUnread/2 {
		// Some 25 MiB are garbage, and a busy process (package gcpace) would not collect that of several peers soon.
		runtime.GC()
	}
}

// Close ends the connection at once.
func (c *conn) Close() error {
	c.end(io.EOF)
	return nil
}

// Abort ends the connection because its peer has broken the protocol of frames.
func (c *conn) Abort(why error) { c.end(why) }
