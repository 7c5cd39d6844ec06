package apiwire

import (
	"net"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/buffers"
	"github.com/protofly/protofly/sdk/message"
)

// Queue has the records that wait for the writer of a stream. All streams share a pool of buffers: a stream that has nothing to
// send keeps none. A large body is not copied into a buffer: it is immutable, and is written from where it is. The zero value is
// empty. The lock of the Queue's owner guards it.
type Queue struct {
	pieces []piece
	size   int
	last   int // the size of the record that was added last
}

// piece is what is written at once, but for the body.
type piece struct {
	buffer *[]byte
	body   []byte // of the message that buffer ends with, where it is large: it is written behind buffer
}

func (p *piece) len() int { return len(*p.buffer) + len(p.body) }

// usualBuffer is the size of most buffers: one is written with one call of the system.
const usualBuffer = 64 << 10

// largeBody is the size from which a body is written by itself: one more call of the system takes less time than to copy it.
const largeBody = usualBuffer

// Size is how many bytes wait.
func (q *Queue) Size() int { return q.size }

// room returns the last piece, to whose buffer n bytes can be added.
func (q *Queue) room(n int) *piece {
	if k := len(q.pieces); k > 0 {
		if p := &q.pieces[k-1]; p.body == nil && cap(*p.buffer)-len(*p.buffer) >= n {
			return p
		}
	}
	q.pieces = append(q.pieces, piece{buffer: buffers.Get(max(n, usualBuffer))})
	return &q.pieces[len(q.pieces)-1]
}

// added notes that the buffer of p has grown, and a body is to follow it.
func (q *Queue) added(p *piece, grown, body []byte) {
	before := len(*p.buffer)
	*p.buffer, p.body = grown, body
	q.last = p.len() - before
	q.size += q.last
}

// Control adds a frame; see [AppendControl].
func (q *Queue) Control(f proto.Message) {
	p := q.room(recordHead + proto.Size(f))
	q.added(p, AppendControl(*p.buffer, f), nil)
}

// Credit adds c.
func (q *Queue) Credit(c *Credit) {
	p := q.room(recordHead + 3*5 + 2*10*len(c.Posts))
	q.added(p, c.Append(*p.buffer), nil)
}

// Returned adds r.
func (q *Queue) Returned(r *Returned) {
	p := q.room(recordHead + 3*5 + 2*10*len(r.Posts))
	q.added(p, r.Append(*p.buffer), nil)
}

// Text adds what is no record: the preamble.
func (q *Queue) Text(text string) {
	p := q.room(len(text))
	q.added(p, append(*p.buffer, text...), nil)
}

// Message adds a message and returns the size of its binary form; see [AppendMessage]. It may keep the message's body until Write or Drop.
func (q *Queue) Message(ref uint32, track bool, m *message.Message) (size int) {
	bound := recordHead + carriedHead + 128 + len(m.From) + len(m.To) + len(m.Source) // an ID has 64 bytes at most
	for _, u := range m.Via {
		bound += 8 + len(u)
	}
	if len(m.Body) >= largeBody {
		p := q.room(bound)
		head, size := appendHead(*p.buffer, ref, track, m)
		q.added(p, head, m.Body)
		return size
	}
	p := q.room(bound + len(m.Body))
	out, size := AppendMessage(*p.buffer, ref, track, m)
	q.added(p, out, nil)
	return size
}

// Undo takes back what was added last, once.
func (q *Queue) Undo() {
	p := &q.pieces[len(q.pieces)-1]
	*p.buffer = (*p.buffer)[:p.len()-q.last]
	p.body = nil
	q.size -= q.last
	q.last = 0
}

// Move takes everything out of other.
func (q *Queue) Move(other *Queue) {
	if k := len(q.pieces); k > 0 && len(other.pieces) > 0 { // a short buffer behind a short buffer
		p, first := &q.pieces[k-1], other.pieces[0]
		if p.body == nil && cap(*p.buffer)-len(*p.buffer) >= len(*first.buffer) {
			*p.buffer, p.body = append(*p.buffer, *first.buffer...), first.body
			buffers.Put(first.buffer)
			other.pieces = slices.Delete(other.pieces, 0, 1)
		}
	}
	q.pieces = append(q.pieces, other.pieces...)
	clear(other.pieces)
	q.size += other.size
	*other = Queue{pieces: other.pieces[:0]}
}

// Drop empties q.
func (q *Queue) Drop() {
	for _, p := range q.pieces {
		buffers.Put(p.buffer)
	}
	clear(q.pieces)
	*q = Queue{pieces: q.pieces[:0]}
}

// Write writes everything and empties q. To write a large body with what is before it takes one call of the system if conn is
// package net's own, or says by a method NetConn that it is one inside.
func (q *Queue) Write(conn net.Conn) error {
	defer q.Drop()
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	for _, p := range q.pieces {
		if p.body == nil {
			if _, err := conn.Write(*p.buffer); err != nil {
				return err
			}
			continue
		}
		if _, err := (&net.Buffers{*p.buffer, p.body}).WriteTo(conn); err != nil {
			return err
		}
	}
	return nil
}
