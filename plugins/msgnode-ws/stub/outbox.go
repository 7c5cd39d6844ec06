package stub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// outboxSize is how many messages wait for the node, and outboxBytes how many bytes of bodies.
const (
	outboxSize  = 1024
	outboxBytes = 16 << 20
)

var (
	errConnecting = errors.New("it has not answered yet")
	errFull       = errors.New("too much waits for it already")
	errEnded      = errors.New("the stub ends")
)

// outbox holds the messages that wait to be sent.
type outbox struct {
	wake chan struct{} // capacity 1: something waits

	mu        sync.Mutex
	waiting   []waiting
	bytes     int
	connected bool
	since     time.Time // since when there is no connection
	why       error     // why
	closed    bool
	room      chan struct{} // closed and replaced when room was made
}

type waiting struct {
	m     message.Message
	since time.Time
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), room: make(chan struct{}), since: time.Now(), why: errConnecting}
}

// lockedOutbox is an outbox whose mu is locked; functions that need that are its methods.
type lockedOutbox outbox

func (x *outbox) locked() *lockedOutbox { return (*lockedOutbox)(x) }

// push adds m. With a connection it waits for room; without one, a full outbox is an error that says why there is no
// connection.
func (o *outbox) push(ctx context.Context, m message.Message) error {
	for {
		o.mu.Lock()
		switch {
		case o.closed:
			o.mu.Unlock()
			return errEnded
		case len(o.waiting) < outboxSize && o.bytes+len(m.Body) <= outboxBytes:
			o.waiting = append(o.waiting, waiting{m, time.Now()})
			o.bytes += len(m.Body)
			o.mu.Unlock()
			o.poke()
			return nil
		case !o.connected:
			err := errors.Join(errFull, o.why)
			o.mu.Unlock()
			return err
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		}
	}
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take removes and returns all messages that wait.
func (o *outbox) take() []message.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]message.Message, len(o.waiting))
	for i, w := range o.waiting {
		out[i] = w.m
	}
	o.waiting, o.bytes = nil, 0
	o.locked().makeRoom()
	return out
}

// late removes and returns the messages that have waited since before a time, if there has been no connection since then
// either.
func (o *outbox) late(before time.Time) (list []message.Message, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.connected || o.since.After(before) {
		return nil, nil
	}
	for len(o.waiting) > 0 && o.waiting[0].since.Before(before) {
		list = append(list, o.waiting[0].m)
		o.bytes -= len(o.waiting[0].m.Body)
		o.waiting = o.waiting[1:]
	}
	if len(list) > 0 {
		o.locked().makeRoom()
	}
	return list, o.why
}

// up and fail note whether there is a connection.
func (o *outbox) up() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.connected = true
}

func (o *outbox) fail(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.connected {
		o.connected, o.since = false, time.Now()
	}
	o.why = why
	o.locked().makeRoom() // pushes that wait for room look again
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.locked().makeRoom()
}

// makeRoom wakes the pushes that wait for room.
func (o *lockedOutbox) makeRoom() {
	close(o.room)
	o.room = make(chan struct{})
}
