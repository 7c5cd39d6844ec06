package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/sdk/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// Stream is the side of a gRPC stream that a [Conn] needs; its codec must be that of [ServerOptions] or [Open].
type Stream interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// Handler is given the control frames: every kind but messages, data and credit. It is called from the link's reader
// and must not block. An error ends the link; it is a [*ProtocolError] where the other side is at fault.
type Handler interface {
	Control(f *linkpb.Frame) error
}

// Conn is one end of a link.
type Conn struct {
	stream  Stream
	handler Handler

	mu      sync.Mutex
	out     []*[]byte // batches that wait for the writer; the last is being filled
	writing int       // bytes that the writer has taken and not yet written
	usual   int       // how large batches are lately
	room    chan struct{}
	idle    chan struct{} // closed when everything is written; nil while nobody waits
	lanes   map[laneKey]*Lane
	err     error

	waiting atomic.Int64  // bytes that wait to be received, on all lanes
	wake    chan struct{} // has an item when out has
	done    chan struct{} // closed when the link has ended; err says why
	wg      sync.WaitGroup
}

type laneKey struct{ instance, door uint32 }

// errEnded is the reason of a link that was ended on purpose.
var errEnded = errors.New("the link was ended")

// New makes one end of a link on stream. [Conn.Run] or [Conn.Start] makes it work.
func New(stream Stream, h Handler) *Conn {
	return &Conn{stream: stream, handler: h, lanes: map[laneKey]*Lane{},
		wake: make(chan struct{}, 1), done: make(chan struct{})}
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

// Err is why the link has ended: nil where either side ended it in order, and while it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == errEnded || c.err == io.EOF {
		return nil
	}
	return c.err
}

// Wait returns when the link's goroutines have ended. They do when its stream does.
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
	c.written()
}

// Control sends a control frame. It does not block; the caller bounds how many there can be. On a link that has ended
// nothing happens.
func (c *Conn) Control(f *linkpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	b := c.buffer(proto.Size(f) + frameCost)
	var err error
	if *b, err = appendControl(*b, f); err != nil {
		panic("link: a control frame does not encode: " + err.Error()) // a string that is not UTF-8: the caller's error
	}
	c.kick()
}

// Lane adds lane door of an instance. The caller gives each pair of numbers once. On a link that has ended the lane
// has too.
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
		if c.err != nil || c.queued() == 0 {
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

// buffer is the batch that a frame of n bytes is added to. mu is held.
func (c *Conn) buffer(n int) *[]byte {
	if k := len(c.out); k > 0 && len(*c.out[k-1])+n <= fill {
		return c.out[k-1]
	}
	b := batches.Get(max(n, c.usual))
	c.out = append(c.out, b)
	return b
}

// queued is how many bytes wait to be written. mu is held.
func (c *Conn) queued() int {
	n := c.writing
	for _, b := range c.out {
		n += len(*b)
	}
	return n
}

func (c *Conn) kick() {
	if len(c.out) == 0 {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Conn) sendCredit(l *Lane, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || l.isEnded() {
		return
	}
	b := c.buffer(frameCost)
	*b = appendCredit(*b, l.instance, l.door, uint64(bytes))
	c.kick()
}

// write is the one goroutine that sends on the stream: gRPC forbids two.
func (c *Conn) write() {
	defer c.wg.Done()
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		for {
			b := c.next()
			if b == nil {
				break
			}
			if err := c.stream.SendMsg(&outBatch{data: b}); err != nil {
				if err != io.EOF { // of a client: the reader knows the reason
					c.end(err)
				}
				return
			}
		}
	}
}

// next takes the next batch, after the last one was written.
func (c *Conn) next() *[]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = 0
	if c.err != nil {
		return nil
	}
	if len(c.out) == 0 {
		c.written()
		return nil
	}
	b := c.out[0]
	c.out[0] = nil
	if c.out = c.out[1:]; len(c.out) == 0 {
		c.out = nil
	}
	c.writing = len(*b)
	c.usual = (c.usual + c.writing) / 2
	if c.room != nil && c.queued() < 2*pending {
		close(c.room)
		c.room = nil
	}
	return b
}

// written wakes who waits for room or for a flush. mu is held.
func (c *Conn) written() {
	for _, w := range []*chan struct{}{&c.room, &c.idle} {
		if *w != nil {
			close(*w)
			*w = nil
		}
	}
}

// read is the goroutine that receives from the stream.
func (c *Conn) read() {
	defer c.wg.Done()
	r := reader{conn: c}
	for {
		var b inBatch
		if err := c.stream.RecvMsg(&b); err != nil {
			c.end(err)
			return
		}
		err := parseBatch(b.data, r.frame)
		if err == nil {
			err = r.flush()
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// reader gathers a lane's consecutive frames, so that a batch costs a lane one lock.
type reader struct {
	conn     *Conn
	key      laneKey
	lane     *Lane
	frames   []Frame
	peerText []byte // the last peer, and its address: mostly the next frame's too
	peer     message.URL
}

func (r *reader) frame(f *frame) error {
	switch f.kind {
	case 0: // a kind that this version does not know
		return nil
	case frameMessage, frameData:
		return r.payload(f)
	case frameCredit:
		return r.conn.credit(f)
	}
	if err := r.flush(); err != nil {
		return err
	}
	var control linkpb.Frame
	if err := proto.Unmarshal(f.raw, &control); err != nil {
		return violation("a control frame: %v", err)
	}
	return r.conn.handler.Control(&control)
}

func (r *reader) payload(f *frame) error {
	if f.kind == frameData && f.door == 0 {
		return violation("data on door 0")
	}
	if len(f.payload) > MaxFrame {
		return violation("a frame of %d bytes, at most %d are allowed", len(f.payload), MaxFrame)
	}
	if key := (laneKey{f.instance, f.door}); r.lane == nil || key != r.key {
		if err := r.flush(); err != nil {
			return err
		}
		r.conn.mu.Lock()
		r.lane, r.key = r.conn.lanes[key], key
		r.conn.mu.Unlock()
		if r.lane == nil { // it was closed while the frame was on its way
			return nil
		}
	}
	out := Frame{Payload: f.payload}
	if len(f.peer) > 0 {
		if string(f.peer) != string(r.peerText) {
			u, err := message.ParseURL(string(f.peer))
			if err != nil {
				return violation("a frame's peer: %v", err)
			}
			r.peer, r.peerText = u, append(r.peerText[:0], f.peer...)
		}
		out.Peer = r.peer
	}
	if f.door == 0 { // messages are few and may be kept for long: they must not keep a whole batch
		out.Payload = append([]byte(nil), f.payload...)
	}
	r.frames = append(r.frames, out)
	return nil
}

func (r *reader) flush() error {
	lane := r.lane
	r.lane = nil
	if lane == nil || len(r.frames) == 0 {
		return nil
	}
	err := lane.push(r.frames)
	clear(r.frames)
	r.frames = r.frames[:0]
	return err
}

func (c *Conn) credit(f *frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[laneKey{f.instance, f.door}]
	if l == nil {
		return nil
	}
	if f.credit > Window+MaxFrame+message.MaxURL+frameCost || l.credit+int(f.credit) > Window {
		return violation("credit for more than the window on door %d of instance %d", f.door, f.instance)
	}
	l.credit += int(f.credit)
	if l.more != nil && l.credit > 0 {
		close(l.more)
		l.more = nil
	}
	return nil
}
