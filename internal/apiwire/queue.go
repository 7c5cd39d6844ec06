package apiwire

import (
	"net"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/buffers"
	"github.com/protofly/protofly/sdk/message"
)

// Queue has the records that wait for the writer of a stream. All streams share a pool of buffers: a stream that has nothing to
// send keeps none. The zero value is empty. The lock of its owner guards it.
type Queue struct {
	buffers []*[]byte
	size    int
	last    int // the size of the record that was added last
}

// usualBuffer is the size of most buffers: one is written with one call of the system.
const usualBuffer = 64 << 10

// Size is how many bytes wait.
func (q *Queue) Size() int { return q.size }

// room returns the buffer to which n bytes can be added.
func (q *Queue) room(n int) *[]byte {
	if k := len(q.buffers); k > 0 {
		if b := q.buffers[k-1]; cap(*b)-len(*b) >= n {
			return b
		}
	}
	b := buffers.Get(max(n, usualBuffer))
	q.buffers = append(q.buffers, b)
	return b
}

// added notes that b has grown.
func (q *Queue) added(b *[]byte, grown []byte) {
	q.last = len(grown) - len(*b)
	q.size += q.last
	*b = grown
}

// Control adds a frame; see [AppendControl].
func (q *Queue) Control(f proto.Message) {
	b := q.room(recordHead + proto.Size(f))
	q.added(b, AppendControl(*b, f))
}

// Credit adds c.
func (q *Queue) Credit(c *Credit) {
	b := q.room(recordHead + 3*5 + 2*10*len(c.Posts))
	q.added(b, c.Append(*b))
}

// Returned adds r.
func (q *Queue) Returned(r *Returned) {
	b := q.room(recordHead + 3*5 + 2*10*len(r.Posts))
	q.added(b, r.Append(*b))
}

// Text adds what is no record: the preamble.
func (q *Queue) Text(text string) {
	b := q.room(len(text))
	q.added(b, append(*b, text...))
}

// Message adds a message and returns the size of its binary form; see [AppendMessage].
func (q *Queue) Message(ref uint32, track bool, m *message.Message) (size int) {
	bound := recordHead + carriedHead + 128 + len(m.From) + len(m.To) + len(m.Source) + len(m.Body) // an ID has 64 bytes at most
	for _, u := range m.Via {
		bound += 8 + len(u)
	}
	b := q.room(bound)
	out, size := AppendMessage(*b, ref, track, m)
	q.added(b, out)
	return size
}

// Undo takes back what was added last, once.
func (q *Queue) Undo() {
	b := q.buffers[len(q.buffers)-1]
	*b = (*b)[:len(*b)-q.last]
	q.size -= q.last
	q.last = 0
}

// Move takes everything out of other.
func (q *Queue) Move(other *Queue) {
	if k := len(q.buffers); k > 0 && len(other.buffers) > 0 { // a short buffer behind a short buffer
		b, first := q.buffers[k-1], other.buffers[0]
		if cap(*b)-len(*b) >= len(*first) {
			*b = append(*b, *first...)
			buffers.Put(first)
			other.buffers = slices.Delete(other.buffers, 0, 1)
		}
	}
	q.buffers = append(q.buffers, other.buffers...)
	clear(other.buffers)
	q.size += other.size
	*other = Queue{buffers: other.buffers[:0]}
}

// Drop empties q.
func (q *Queue) Drop() {
	for i, b := range q.buffers {
		buffers.Put(b)
		q.buffers[i] = nil
	}
	*q = Queue{buffers: q.buffers[:0]}
}

// Write writes everything and empties q.
func (q *Queue) Write(conn net.Conn) error {
	defer q.Drop()
	for _, b := range q.buffers {
		if _, err := conn.Write(*b); err != nil {
			return err
		}
	}
	return nil
}
