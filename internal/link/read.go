package link

import (
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

// read is the goroutine that receives.
func (c *Conn) read() {
	defer c.wg.Done()
	if c.pipes != nil {
		c.end(c.readPipe())
		return
	}
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

// readPipe reads frames until the pipe ends. The bytes are those of one batch without an end.
func (c *Conn) readPipe() error {
	r := reader{conn: c, borrowed: true}
	var in intake
	for {
		if err := in.fill(c.pipes.source); err != nil {
			return io.EOF // whatever the reason, the other end has gone
		}
		for {
			frame, ok, err := in.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if frame == nil {
				continue
			}
			if err := r.raw(frame); err != nil {
				return err
			}
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
}

// intake is the buffer that a pipe is read into. It is small while little comes, because most links are idle mostly.
type intake struct {
	buffer   []byte
	from, to int // b[from:to] was read and not yet used
	need     int // bytes of the next field; 0: not known
	full     bool
	large    int // how many reads ago a field needed more than readBuffer
}

const (
	idleBuffer = 4 << 10
	readBuffer = 128 << 10 // how much is read at once
	keptLarge  = 256       // reads
)

// fill reads as much as there is, at least one byte.
func (in *intake) fill(source io.Reader) error {
	room := len(in.buffer)
	switch {
	case in.need > max(room, readBuffer):
		room = in.need + readBuffer
	case room == 0:
		room = idleBuffer
	case room < readBuffer && in.full:
		room = readBuffer
	case room > readBuffer && in.large > keptLarge:
		room = readBuffer
	}
	if in.large++; in.need > readBuffer {
		in.large = 0
	}
	from := in.buffer
	if room != len(in.buffer) && room >= max(in.to-in.from, in.need) {
		in.buffer = make([]byte, room)
	}
	in.to = copy(in.buffer, from[in.from:in.to])
	in.from = 0
	n, err := source.Read(in.buffer[in.to:])
	in.to += n
	in.full = in.to == len(in.buffer)
	return err
}

// next returns the next field, if all of it has been read. frame is nil if the field is not a Frame.
func (in *intake) next() (frame []byte, ok bool, err error) {
	frame, in.need, err = nextField(in.buffer[in.from:in.to])
	if err != nil || in.need == 0 || in.need > in.to-in.from {
		return nil, false, err
	}
	in.from += in.need
	return frame, true, nil
}

// nextField cuts the first field off b: frame is its content if it is a Frame. size is its length in bytes with its tag and
// length, 0 if too little of it has been read to know.
func nextField(b []byte) (frame []byte, size int, err error) {
	field, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, 0, short(b, n, "a frame's tag")
	}
	if typ != protowire.BytesType {
		return nil, 0, violation("field %d of type %d among the frames", field, typ)
	}
	length, m := protowire.ConsumeVarint(b[n:])
	if m < 0 {
		return nil, 0, short(b, m, "a frame's length")
	}
	if length > MaxBatch {
		return nil, 0, violation("a frame of %d bytes", length)
	}
	size = n + m + int(length)
	if size <= len(b) && field == batchFrames {
		frame = b[n+m : size : size]
	}
	return frame, size, nil
}

// short returns nil if b may only be too short, else the error.
func short(b []byte, n int, what string) error {
	if err := protowire.ParseError(n); err != io.ErrUnexpectedEOF || len(b) > 16 {
		return violation("%s: %v", what, err)
	}
	return nil
}

// reader gathers a lane's consecutive frames, so that a batch costs a lane one lock.
type reader struct {
	conn     *Conn
	key      laneKey
	lane     *Lane
	frames   []Frame
	peerText []byte // the last peer, and its address: mostly the next frame's too
	peer     message.URL
	parsed   frame
	borrowed bool // the memory of its frames is valid until the next read only
}

// raw takes a frame as it is on the wire.
func (r *reader) raw(b []byte) error {
	if err := parseFrame(b, &r.parsed); err != nil {
		return err
	}
	return r.frame(&r.parsed)
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
		if r.lane == nil { // the lane was closed while the frame was on its way
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
	err := lane.push(r.frames, r.borrowed)
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
