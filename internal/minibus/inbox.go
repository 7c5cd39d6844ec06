package minibus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// ErrClosed is the error of a bus, or a listener, that has ended.
var ErrClosed = errors.New("the bus is closed")

// DefaultInbox is how many messages may wait for one listener before a delivery blocks.
const DefaultInbox = 256

// inbox is a bounded queue with one consumer, whose goroutine runs only while there is something to consume. Messages of
// different sources are served in turn: see work.Lane.
type inbox struct {
	handle TakingHandler
	limit  int
	group  *group

	mu      sync.Mutex
	lane    work.Lane[Delivery]
	limits  [2]int        // messages at which it is full: for a message without a cost, for one with a cost
	space   chan struct{} // closed when a place is free; nil while nobody waits for one
	waiters int           // callers that wait for a place, or were woken and have not got it yet

	stopped atomic.Bool // set with mu locked

	_    [cacheLine]byte // callers that add messages write to what is before, and the goroutine that handles them to turn
	turn turn
}

// cacheLine is the size of the pieces of memory that processors take from each other, on most of them.
const cacheLine = 64

// turn is how far the goroutine that handles messages has come in the blocks that it has taken out of the lane. If the inbox is stopped
// while a handler has not returned, stop takes back the messages of these blocks that no handler has been called for.
type turn struct {
	block   *work.Block[Delivery] // the goroutine is in this one; guarded by mu
	claimed atomic.Uint32         // how many messages of block a handler was, or is going to be, called for; with stopBit, stop has the others
}

const stopBit = 1 << 31

// lockedInbox is an inbox whose mu is locked: methods that need that are methods of it.
type lockedInbox inbox

func (x *inbox) locked() *lockedInbox { return (*lockedInbox)(x) }

// burst is how many times its limit an inbox takes of messages whose receipts have a cost. Their deliverer counts the cost
// until the receipt is settled and so bounds the memory; the limit need not. A session brings hundreds of messages at a time:
// they need no second queue elsewhere while their listener is behind. While a caller waits for a place, the limit is the same
// for all messages: else that caller might never get one.
const burst = 64

// wait adds to the number of callers that wait for a place.
func (i *lockedInbox) wait(more int) {
	i.waiters += more
	i.limits = [2]int{i.limit, i.limit}
	if i.waiters == 0 {
		i.limits[1] *= burst
	}
}

// group is what the inboxes of one bus share: their context, the wait for their goroutines, and the memory of waiting
// messages.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	memory work.Memory[Delivery]
}

// full tells whether there is no place for the message. It is small enough to be compiled into its callers.
func (i *lockedInbox) full(in *Delivery) bool {
	return i.lane.Len() >= i.limits[min(in.Receipt.Cost, 1)] && i.crowded(in)
}

// crowded is full for an inbox that is at its limit in all: each source keeps places in it that no other can take. They are
// half of the limit if its messages have a cost, since then there may be many sources.
func (i *lockedInbox) crowded(in *Delivery) bool {
	keeps := i.limit
	if in.Receipt.Cost > 0 {
		keeps = (keeps + 1) / 2
	}
	return i.lane.LenOf(in.Receipt.Source) >= keeps
}

// push queues a message. It waits for a place; with atOnce it exceeds the limit instead of waiting.
func (i *inbox) push(ctx context.Context, in *Delivery, atOnce bool) error {
	i.mu.Lock()
	if !i.ended() && (atOnce || !i.locked().full(in)) {
		i.locked().add(in)
		i.mu.Unlock()
		return nil
	}
	defer i.mu.Unlock()
	for waits := false; ; waits = true {
		if waits {
			i.locked().wait(-1)
		}
		switch {
		case i.ended():
			return ErrClosed
		case ctx.Err() != nil && waits:
			return ctx.Err()
		case atOnce || !i.locked().full(in):
			i.locked().add(in)
			return nil
		}
		i.locked().wait(1)
		if i.space == nil {
			i.space = make(chan struct{})
		}
		space := i.space
		i.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
		case <-i.group.ctx.Done():
		}
		i.mu.Lock()
	}
}

// try is push without waiting: if there is no place it does nothing, and full is true.
func (i *inbox) try(in *Delivery) (full bool, err error) {
	i.mu.Lock()
	switch {
	case i.ended():
		err = ErrClosed
	case i.locked().full(in):
		full = true
	default:
		i.locked().add(in)
	}
	i.mu.Unlock()
	return full, err
}

// tryRun queues as many of the first messages of run as there are places for, and returns how many.
func (i *inbox) tryRun(run []Delivery) (n int) {
	i.mu.Lock()
	if !i.ended() {
		for n < len(run) && !i.locked().full(&run[n]) {
			i.locked().add(&run[n])
			n++
		}
	}
	i.mu.Unlock()
	return n
}

// add queues a message and starts the goroutine that handles it, if none runs.
func (i *lockedInbox) add(in *Delivery) {
	if i.lane.Add(in.Receipt.Source, in) {
		i.group.wg.Add(1)
		go (*inbox)(i).run()
	}
}

// room tells whether a message would find a place.
func (i *inbox) room(in *Delivery) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.locked().full(in) || i.stopped.Load()
}

// run handles what is queued and ends when nothing is left: an idle listener holds no goroutine.
func (i *inbox) run() {
	handle, group := i.handle, i.group // read once: callers that add messages write beside them
	defer group.wg.Done()
	for block := i.next(nil); block != nil; block = i.next(block) {
		items := block.Items()
		for n := range items {
			if i.turn.claimed.Add(1)&stopBit != 0 {
				break
			}
			if in := &items[n]; group.ctx.Err() != nil {
				in.fail()
			} else {
				handle(group.ctx, in.Message, in.Receipt)
			}
		}
	}
}

// next returns the block of messages to handle after done, which may be nil and is given back; nil: nothing is left, and the
// goroutine has to end. The messages of blocks that are taken out together are all of one source. Where the inbox was stopped, nothing
// in the block is to be handled.
func (i *inbox) next(done *work.Block[Delivery]) (b *work.Block[Delivery]) {
	i.mu.Lock()
	if done != nil {
		b = done.Next()
	}
	if b == nil {
		b = i.lane.Take()
		i.locked().release()
	}
	begun := uint32(0)
	if i.stopped.Load() {
		begun = stopBit
	}
	i.turn.block = b
	i.turn.claimed.Store(begun)
	i.mu.Unlock()
	if done != nil {
		i.group.memory.Done(done)
	}
	return b
}

func (i *inbox) ended() bool { return i.stopped.Load() || i.group.ctx.Err() != nil }

// release lets all callers that wait for a place try again.
func (i *lockedInbox) release() {
	if i.space != nil {
		close(i.space)
		i.space = nil
	}
}

// stop ends the inbox: what no handler has begun fails, and nothing is added any more.
func (i *inbox) stop() {
	i.mu.Lock()
	first := !i.stopped.Swap(true)
	var begun []Delivery // what waits behind the message that is being handled
	if b := i.turn.block; b != nil && first {
		n := i.turn.claimed.Or(stopBit)
		begun = append(begun, b.Items()[min(int(n), len(b.Items())):]...)
		for b = b.Next(); b != nil; b = b.Next() {
			begun = append(begun, b.Items()...)
		}
	}
	var left []*work.Block[Delivery]
	for i.lane.Len() > 0 {
		left = append(left, i.lane.Take())
	}
	i.locked().release()
	i.mu.Unlock()
	for n := range begun {
		begun[n].fail()
	}
	for _, b := range left {
		for ; b != nil; b = i.group.memory.Done(b) {
			items := b.Items()
			for n := range items {
				items[n].fail()
			}
		}
	}
}

// fail settles the receipt, if there is one, of a message that nobody will handle.
func (in *Delivery) fail() {
	if in.Receipt.By != nil {
		in.Receipt.Failed(in.Message, &message.ResponseError{Code: message.CodeNotFound, From: in.Message.To,
			Description: fmt.Sprintf("%s has gone; it did not take the message", in.Message.To)})
	}
}
