package minibus

import (
	"context"
	"errors"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// ErrClosed is the error of a bus, or a listener, that has ended.
var ErrClosed = errors.New("the bus is closed")

// DefaultInbox is how many messages wait for one listener before whoever delivers has to wait.
const DefaultInbox = 256

// inbox is a bounded queue with one consumer, whose goroutine runs only while there is something to consume.
type inbox struct {
	handle message.Handler
	limit  int
	group  *group

	mu      sync.Mutex
	queue   []message.Message
	running bool
	stopped bool
	space   chan struct{} // closed when a place is free; nil while nobody waits for one
}

// group is what the inboxes of one bus share: their context, and the wait for their goroutines.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (i *inbox) push(ctx context.Context, m message.Message) error {
	for {
		i.mu.Lock()
		if i.stopped || i.group.ctx.Err() != nil {
			i.mu.Unlock()
			return ErrClosed
		}
		if len(i.queue) < i.limit {
			i.queue = append(i.queue, m)
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

// run handles what is queued and ends when nothing is left: an idle listener holds no goroutine.
func (i *inbox) run() {
	defer i.group.wg.Done()
	for {
		i.mu.Lock()
		if len(i.queue) == 0 || i.stopped || i.group.ctx.Err() != nil {
			i.running = false
			i.queue = nil
			i.mu.Unlock()
			return
		}
		batch := i.queue
		i.queue = nil
		i.release()
		i.mu.Unlock()
		for n := range batch {
			if i.halted() {
				break
			}
			i.handle(i.group.ctx, batch[n])
			batch[n] = message.Message{}
		}
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
	defer i.mu.Unlock()
	i.stopped = true
	i.queue = nil
	i.release()
}
