package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
)

// Stream is the side of a gRPC stream that a [Conn] needs; its codec must be that of [ServerOptions] or [Open].
type Stream interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// Handler handles the control frames: every kind but messages, data and credit. The link's reader calls it, so it must not
// block. An error ends the link; it is a [*ProtocolError] if the other side is at fault.
type Handler interface {
	Control(f *linkpb.Frame) error
}

// Conn is one end of a link.
type Conn struct {
	stream  Stream // nil: the link goes over pipes
	pipes   *Pipes // nil: the link goes over the stream
	handler Handler

	mu      sync.Mutex
	out     []*[]byte // batches that wait to be written; the last is being filled
	writer  writer    // which goroutine writes
	writing int       // bytes that were taken from out and are not yet written
	rest    batch     // the part of a batch that a sender could not write without waiting; the goroutine writes it first
	usual   int       // running average of the sizes of batches, in bytes
	room    chan struct{}
	idle    chan struct{} // closed when everything is written; nil while nobody waits
	lanes   map[laneKey]*Lane
	err     error

	waiting atomic.Int64  // bytes that wait to be received, on all lanes
	wake    chan struct{} // has an item when the goroutine is to write
	done    chan struct{} // closed when the link has ended; err says why
	wg      sync.WaitGroup
}

type laneKey struct{ instance, door uint32 }

// lockedConn is a Conn whose mu is locked; functions that need that are its methods.
type lockedConn Conn

func (x *Conn) locked() *lockedConn { return (*lockedConn)(x) }

// errEnded is the reason of a link that was ended on purpose.
var errEnded = errors.New("the link was ended")

// New makes one end of a link on stream. [Conn.Run] or [Conn.Start] makes it work.
func New(stream Stream, h Handler) *Conn {
	return &Conn{stream: stream, handler: h, lanes: map[laneKey]*Lane{},
		wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// NewOnPipes makes one end of a link on pipes, which end with it. It does the same as a Conn of [New], in fewer steps.
func NewOnPipes(p *Pipes, h Handler) *Conn {
	c := New(nil, h)
	c.pipes = p
	return c
}

// Start begins to carry frames. The link ends when its stream does; then the caller calls [Conn.Wait].
func (c *Conn) Start() {
	c.wg.Add(2)
	go c.read()
	go c.write()
}

// Run carries frames until the link or ctx ends, and returns [Conn.Err]. Then the caller ends the stream and calls
// [Conn.Wait].
func (c *Conn) Run(ctx context.Context) error {
	c.Start()
	select {
	case <-ctx.Done():
		c.end(errEnded)
	case <-c.done:
	}
	return c.Err()
}

// Err is why the link has ended: nil if either side ended it in order, and while it has not ended.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == errEnded || c.err == io.EOF {
		return nil
	}
	return c.err
}

// Wait returns when the link's goroutines have ended. They do when its stream does, or the link on its pipes.
func (c *Conn) Wait() { c.wg.Wait() }

// Done is closed when the link has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	for _, l := range c.lanes {
		l.endLocked()
	}
	clear(c.lanes)
	c.locked().written()
	if c.pipes != nil {
		_ = c.pipes.Close()
	}
}

// End ends the link on this side at once.
func (c *Conn) End() { c.end(errEnded) }

// Control sends a control frame. It does not block; the caller bounds how many there can be. If the link has ended, it does
// nothing.
func (c *Conn) Control(f *linkpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	b := c.locked().buffer(proto.Size(f)+frameCost, 0)
	var err error
	if *b, err = appendControl(*b, f); err != nil {
		panic("link: a control frame does not encode: " + err.Error()) // a string that is not UTF-8: the caller's error
	}
	c.locked().kick()
}

// Lane adds lane door of an instance. The caller uses each pair of numbers once. If the link has ended, so has the lane.
func (c *Conn) Lane(instance, door uint32) *Lane {
	l := newLane(c, instance, door)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		l.endLocked()
		return l
	}
	c.lanes[laneKey{instance, door}] = l
	return l
}

// Flush returns when everything that was sent has been given to the stream, the link has ended, or ctx has.
func (c *Conn) Flush(ctx context.Context) {
	for {
		c.mu.Lock()
		if c.err != nil || c.locked().queued() == 0 {
			c.mu.Unlock()
			return
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}
