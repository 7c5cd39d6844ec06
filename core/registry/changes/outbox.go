package changes

import (
	"slices"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// maxUpdates is how many updates may wait; with one more, a complete list replaces them.
const maxUpdates = 256

// Outbox holds what waits to be posted, in order. The Publisher fills it, and one goroutine takes the messages out and posts
// them. Make it with [NewOutbox].
type Outbox struct {
	mu    sync.Mutex
	queue []outgoing
	wake  chan struct{}
}

type outgoing struct {
	m      message.Message
	update bool // an update, which a complete list may replace
}

// NewOutbox makes an empty Outbox.
func NewOutbox() *Outbox { return &Outbox{wake: make(chan struct{}, 1)} }

// Wake returns the channel that says that something waits.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

// Take takes the next message out: an update for the followers, or an answer; false: none waits.
func (o *Outbox) Take() (m message.Message, update, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return message.Message{}, false, false
	}
	next := o.queue[0]
	o.queue = o.queue[1:]
	return next.m, next.update, true
}

// answer queues an answer. Of the answers to one follower only the last waits.
func (o *Outbox) answer(m message.Message) {
	o.mu.Lock()
	o.queue = slices.DeleteFunc(o.queue, func(q outgoing) bool { return !q.update && q.m.To == m.To })
	o.queue = append(o.queue, outgoing{m: m})
	o.mu.Unlock()
	o.ring()
}

// update queues an update. full: too many messages waited, so all updates were dropped and a complete list must replace them,
// see stay.
func (o *Outbox) update(m message.Message) (full bool) {
	o.mu.Lock()
	o.queue = append(o.queue, outgoing{m: m, update: true})
	if full = len(o.queue) > maxUpdates; full {
		o.queue = slices.DeleteFunc(o.queue, func(q outgoing) bool { return q.update })
	}
	o.mu.Unlock()
	o.ring()
	return full
}

// stay queues a part of a complete list that replaces updates. It is kept however many messages wait: no other message has
// what was in those updates.
func (o *Outbox) stay(m message.Message) {
	o.mu.Lock()
	o.queue = append(o.queue, outgoing{m: m, update: true})
	o.mu.Unlock()
	o.ring()
}

func (o *Outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
