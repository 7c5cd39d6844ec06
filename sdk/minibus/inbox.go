package minibus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// ErrClosed is the error of a bus, or a listener, that has ended.
var ErrClosed = errors.New("the bus is closed")

// DefaultInbox is how many messages wait for one listener before whoever delivers has to wait.
const DefaultInbox = 256

// keptItems is how many messages an idle listener keeps memory for: who answers one by one allocates none.
const keptItems = 4

// inbox is a bounded queue with one consumer, whose goroutine runs only while there is something to consume.
type inbox struct {
	handle TakingHandler
	limit  int
	group  *group

	mu      sync.Mutex
	queue   []item
	running bool
	stopped bool
	space   chan struct{} // closed when a place is free; nil while nobody waits for one
}

type item struct {
	m message.Message
	r Receipt
}

// group is what the inboxes of one bus share: their context, and the wait for their goroutines.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// push queues a message. It waits for a place, unless at once has it go over the limit instead.
func (i *inbox) push(ctx context.Context, in item, atOnce bool) error {
	for {
		i.mu.Lock()
		if i.stopped || i.group.ctx.Err() != nil {
			i.mu.Unlock()
			return ErrClosed
		}
		if len(i.queue) < i.limit || atOnce {
			i.queue = append(i.queue, in)
			if !i.running {
				i.running = true
				i.group.wg.Add(1)
				go i.run()
			}
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

// room tells whether a message would find a place.
func (i *inbox) room() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.queue) < i.limit || i.stopped
}

// run handles what is queued and ends when nothing is left: an idle listener holds no goroutine.
func (i *inbox) run() {
	defer i.group.wg.Done()
	var spare []item // memory for the next queue
	for {
		i.mu.Lock()
		if len(i.queue) == 0 || i.stopped || i.group.ctx.Err() != nil {
			i.running = false
			left := i.queue
			i.queue = nil
			if len(left) == 0 && cap(left) <= keptItems {
				i.queue = left
			}
			i.mu.Unlock()
			fail(left)
			return
		}
		batch := i.queue
		i.queue = spare[:0]
		i.release()
		i.mu.Unlock()
		for n := range batch {
			if i.halted() {
				fail(batch[n:])
				break
			}
			i.handle(i.group.ctx, batch[n].m, batch[n].r)
			batch[n] = item{}
		}
		spare = batch
	}
}

func (i *inbox) halted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stopped || i.group.ctx.Err() != nil
}

// release lets everybody who waits for a place try again. mu is held.
func (i *inbox) release() {
	if i.space != nil {
		close(i.space)
		i.space = nil
	}
}

func (i *inbox) stop() {
	i.mu.Lock()
	i.stopped = true
	left := i.queue
	i.queue = nil
	i.release()
	i.mu.Unlock()
	fail(left)
}

// fail tells who asks about messages that nobody will handle.
func fail(left []item) {
	for _, in := range left {
		if in.r.By != nil {
			in.r.Failed(in.m, &message.ResponseError{Code: message.CodeNotFound, From: in.m.To,
				Description: fmt.Sprintf("%s has gone; it did not take the message", in.m.To)})
		}
	}
}
