package link

import (
	"io"
	"time"

	"github.com/protofly/protofly/internal/busypoll"
)

// One goroutine at a time writes: the goroutine of the link, or, on pipes, that of a sender, if nothing is queued before its
// frames and it need not wait. That spares the goroutine's start, which is most of what a lone frame costs.
type writer uint8

const (
	nobody writer = iota
	sender
	goroutine
)

// batch is a batch that may have been written in part.
type batch struct {
	all  *[]byte
	left []byte
}

// inline is the largest batch that a sender writes itself: a larger one keeps it from preparing the next.
const inline = 192 << 10

// lastWords is how long the other end, when it does not read its pipe any more, may go on writing.
const lastWords = time.Second

// buffer returns the batch to which a frame of n bytes is added, with room for it; more bytes are to follow at once.
func (c *lockedConn) buffer(n, more int) *[]byte {
	k := len(c.out)
	if k == 0 || len(*c.out[k-1])+n > fill {
		b := batchPool{}.Get(max(min(n+more, fill), c.usual))
		c.out = append(c.out, b)
		return b
	}
	b := c.out[k-1]
	if len(*b)+n > cap(*b) {
		larger := batchPool{}.Get(max(2*cap(*b), len(*b)+n))
		*larger = append(*larger, *b...)
		batchPool{}.Put(b)
		b, c.out[k-1] = larger, larger
	}
	return b
}

// queued is how many bytes wait to be written.
func (c *lockedConn) queued() int {
	n := c.writing
	for _, b := range c.out {
		n += len(*b)
	}
	return n
}

// kick makes the goroutine write, unless it or a sender is writing.
func (c *lockedConn) kick() {
	if c.writer != nobody || len(c.out) == 0 {
		return
	}
	c.writer = goroutine
	c.wake <- struct{}{} // there is room: the goroutine has taken the last item
}

// depart writes what is queued as far as it can without waiting, and leaves the rest to the goroutine. It
// unlocks mu while it writes.
func (c *lockedConn) depart() {
	if c.pipes == nil || c.writer != nobody || len(c.out) != 1 || len(*c.out[0]) > inline {
		c.kick()
		return
	}
	c.writer = sender
	b := c.first()
	c.mu.Unlock()
	n, err := c.pipes.try(*b)
	c.mu.Lock()
	if err != nil {
		n = 0 // the goroutine meets the same error, and ends the link
	}
	c.writer = nobody
	if n < len(*b) {
		c.rest = batch{b, (*b)[n:]}
		c.writing = len(c.rest.left)
		c.writer = goroutine
		c.wake <- struct{}{}
		return
	}
	batchPool{}.Put(b)
	c.writing = 0
	c.freed()
	if len(c.out) > 0 {
		c.kick()
	} else {
		c.written()
	}
}

func (c *Conn) sendCredit(l *Lane, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || l.isEnded() {
		return
	}
	b := c.locked().buffer(frameCost, 0)
	*b = appendCredit(*b, l.instance, l.door, uint64(bytes))
	c.locked().kick()
}

// write is the goroutine that writes what senders do not; on a gRPC stream, which allows one writer, it writes everything.
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
			if b.all == nil {
				break
			}
			if err := c.give(b); err != nil {
				if err != io.EOF { // a client's stream returns io.EOF: the reader has the reason
					c.end(err)
				}
				return
			}
		}
	}
}

// give writes a batch. Afterwards the batch must not be used.
func (c *Conn) give(b batch) error {
	if c.pipes == nil {
		return c.stream.SendMsg(&outBatch{data: b.all})
	}
	if _, err := c.pipes.out.Write(b.left); err != nil {
		// The other end has gone, or does not read any more. Bytes that it has written before are still read, then the reader
		// ends the link.
		_ = c.pipes.in.SetReadDeadline(time.Now().Add(lastWords))
		return io.EOF
	}
	busypoll.Carried(len(b.left))
	batchPool{}.Put(b.all)
	return nil
}

// next returns the next batch for the goroutine to write, after the last one was written; an empty one if there is nothing more
// to write.
func (c *Conn) next() (b batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = 0
	if c.err != nil {
		return b
	}
	if c.rest.all != nil {
		b, c.rest = c.rest, b
		c.writing = len(b.left)
		return b
	}
	if len(c.out) == 0 {
		c.writer = nobody
		c.locked().written()
		return b
	}
	all := c.locked().first()
	c.locked().freed()
	return batch{all, *all}
}

// first takes the first batch out of the queue.
func (c *lockedConn) first() *[]byte {
	b := c.out[0]
	n := copy(c.out, c.out[1:])
	c.out[n] = nil
	c.out = c.out[:n]
	c.writing = len(*b)
	c.usual = (c.usual + c.writing) / 2
	return b
}

// freed wakes senders that wait for room in the queue, when there is some.
func (c *lockedConn) freed() {
	if c.room != nil && c.queued() < 2*pending {
		close(c.room)
		c.room = nil
	}
}

// written wakes senders that wait for room and callers that wait for a flush.
func (c *lockedConn) written() {
	for _, w := range []*chan struct{}{&c.room, &c.idle} {
		if *w != nil {
			close(*w)
			*w = nil
		}
	}
}
