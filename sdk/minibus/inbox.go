package minibus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// ErrClosed is the error of a bus, or a listener, that has ended.
var ErrClosed = errors.New("the bus is closed")

// DefaultInbox is how many messages wait for one listener before whoever delivers has to wait.
const DefaultInbox = 256

// inbox is a bounded queue with one consumer, whose goroutine runs only while there is something to consume.
type inbox struct {
	handle TakingHandler
	limit  int
	group  *group

	mu      sync.Mutex
	queue   *queue // nil: nothing waits
	running bool
	space   chan struct{} // closed when a place is free; nil while nobody waits for one

	stopped atomic.Bool // is set while mu is held
}

type item struct {
	m message.Message
	r Receipt
}

// queue is a list of items whose memory is used again.
type queue struct{ items []item }

func (q *queue) len() int {
	if q == nil {
		return 0
	}
	return len(q.items)
}

// group is what the inboxes of one bus share: their context, the wait for their goroutines, and the memory of their
// queues: a queue is needed only while something waits in it, or is handled.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	spare  sync.Pool // of *queue
}

// push queues a message. It waits for a place, unless at once has it go over the limit instead.
func (i *inbox) push(ctx context.Context, in item, atOnce bool) error {
	for {
		i.mu.Lock()
		if i.ended() {
			i.mu.Unlock()
			return ErrClosed
		}
		if i.queue.len() < i.limit || atOnce {
			i.add(in)
			i.mu.Unlock()
			return nil
		}
		if i.space == nil {
			i.space = make(chan struct{})
		}
		space := i.space
		i.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		case <-i.group.ctx.Done():
			return ErrClosed
		}
	}
}

// try is push without waiting: where there is no place it does nothing, and full is true.
func (i *inbox) try(in item) (full bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.ended():
		return false, ErrClosed
	case i.queue.len() >= i.limit:
		return true, nil
	}
	i.add(in)
	return false, nil
}

// add queues a message and has it handled. mu is held.
func (i *inbox) add(in item) {
	if i.queue == nil {
		if i.queue, _ = i.group.spare.Get().(*queue); i.queue == nil {
			i.queue = &queue{}
		}
	}
	i.queue.items = append(i.queue.items, in)
	if !i.running {
		i.running = true
		i.group.wg.Add(1)
		go i.run()
	}
}

// room tells whether a message would find a place.
func (i *inbox) room() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.queue.len() < i.limit || i.stopped.Load()
}

// run handles what is queued and ends when nothing is left: an idle listener holds no goroutine.
func (i *inbox) run() {
	defer i.group.wg.Done()
	for batch := i.next(); batch != nil; batch = i.next() {
		for n := range batch.items {
			in := &batch.items[n]
			if i.ended() {
				in.fail()
			} else {
				i.handle(i.group.ctx, in.m, in.r)
			}
			*in = item{}
		}
		batch.items = batch.items[:0]
		i.group.spare.Put(batch)
	}
}

// next is what has been queued since the last time; nil: nothing, and the goroutine has to end.
func (i *inbox) next() *queue {
	i.mu.Lock()
	defer i.mu.Unlock()
	batch := i.queue
	i.queue = nil
	i.release()
	i.running = batch != nil
	return batch
}

func (i *inbox) ended() bool { return i.stopped.Load() || i.group.ctx.Err() != nil }

// release lets everybody who waits for a place try again. mu is held.
func (i *inbox) release() {
	if i.space != nil {
		close(i.space)
		i.space = nil
	}
}

func (i *inbox) stop() {
	i.mu.Lock()
	i.stopped.Store(true)
	left := i.queue
	i.queue = nil
	i.release()
	i.mu.Unlock()
	if left != nil {
		for n := range left.items {
			left.items[n].fail()
		}
	}
}

// fail tells who asks about a message that nobody will handle.
func (in *item) fail() {
	if in.r.By != nil {
		in.r.Failed(in.m, &message.ResponseError{Code: message.CodeNotFound, From: in.m.To,
			Description: fmt.Sprintf("%s has gone; it did not take the message", in.m.To)})
	}
}
