package load

import (
	"context"
	"fmt"
)

// Conn is a contender's connection: ordered and reliable, for whole messages.
type Conn interface {
	// Send sends a message. more says that others follow at once, so that it may be batched with them. Send may keep b, and does not
	// change it.
	Send(ctx context.Context, b []byte, more bool) error
	// Run calls take for every message that comes, one at a time, until ctx or the connection ends. b is
	// valid until take returns.
	Run(ctx context.Context, take func(b []byte)) error
}

// Requester is a [Conn] with a way of its own to send a message and wait for the answer to it, which is an Echo.
type Requester interface {
	Request(ctx context.Context, b []byte) error
}

// Answer is the receiver's part. It returns when ctx or the connection ends.
func Answer(ctx context.Context, c Conn) error {
	t := tally{}
	return c.Run(ctx, func(b []byte) {
		if reply := t.take(b); reply != nil {
			_ = c.Send(ctx, reply, false) // after an error the sender's wait times out
		}
	})
}

// tally checks and counts what comes.
type tally struct {
	count  uint64
	next   uint64 // the number of the next Data, unless that begins a new cycle
	broken bool
}

// Reply is what a receiver answers to b; nil: nothing. It is for contenders that have a way of their own to answer.
type Reply = func(b []byte) []byte

// NewReply makes a receiver's part for one driver.
func NewReply() Reply {
	t := &tally{}
	return t.take
}

func (t *tally) take(b []byte) []byte {
	kind, number, err := Parse(b)
	switch {
	case err != nil:
		t.broken = true
	case kind == Data:
		t.broken = t.broken || number != t.next && number != 0
		t.next = number + 1
		t.count++
	case kind == Ping:
		return Text(Echo, number, len(b))
	case kind == End:
		reply := byte(Count)
		if t.broken || t.count != number {
			reply = Broken
		}
		count := t.count
		*t = tally{}
		return Text(reply, count, MinSize)
	}
	return nil
}

// errLost is a sender's error after a Broken.
func errLost(sent, came uint64) error {
	return fmt.Errorf("of %d messages %d came as they were sent", sent, came)
}
