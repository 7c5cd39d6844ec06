package minibus

import (
	"context"
	"sync"
)

// queues are the messages that wait in an inbox: a queue for each source, from which a few messages at a time are taken
// in turn, so that nobody waits for all that another one has sent. The order of one source's messages is kept. The lock of
// the inbox guards them.
//
// Where all messages are of one source, as they mostly are, there is only the first queue. The others, which are made when
// a second source comes, are shared by the sources that have the same number modulo numQueues. A source stays in its queue
// while anything waits; so none has messages in two.
type queues struct {
	n      int    // items in all
	source uint32 // whose the first queue is; another's only when nothing waits
	first  queue
	others *[numQueues]queue // nil: not needed yet

	head, tail *queue // those that are not empty, in the order of their turns
}

// numQueues is how many queues there are beside the first. Sources are more: remote runtimes choose how many they are.
const numQueues = 64

// turnBlocks is how many blocks of a queue are taken at once: enough that what a turn costs is little for each message.
const turnBlocks = 4

// queue is a list of items, in blocks whose memory is used again: it grows without being copied, and what was handled
// takes nothing.
type queue struct {
	first, last *block
	n           int    // items
	next        *queue // whose turn comes after this one's
}

type block struct {
	items [32]Handed
	n     int // items in use
	next  *block
}

// group is what the inboxes of one bus share: their context, the wait for their goroutines, and the memory of their
// queues, which is needed only while something waits or is handled.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	spare  sync.Pool // of *block
	others sync.Pool // of *[numQueues]queue, all empty
}

func (g *group) block() *block {
	if b, ok := g.spare.Get().(*block); ok {
		return b
	}
	return &block{}
}

// of is the queue of a source.
func (qs *queues) of(source uint32, g *group) *queue {
	if source == qs.source {
		return &qs.first
	}
	return qs.other(source, g)
}

// other is of for a source that the first queue is not the one of.
func (qs *queues) other(source uint32, g *group) *queue {
	if qs.n == 0 {
		qs.source = source
		return &qs.first
	}
	if qs.others == nil {
		var ok bool
		if qs.others, ok = g.others.Get().(*[numQueues]queue); !ok {
			qs.others = new([numQueues]queue)
		}
	}
	return &qs.others[source%numQueues]
}

// grow adds b to q. The first message of a source waits for one turn of each of the others.
func (qs *queues) grow(q *queue, b *block) {
	if q.last == nil {
		q.first = b
		qs.append(q)
	} else {
		q.last.next = b
	}
	q.last = b
}

// append gives q a turn after the others.
func (qs *queues) append(q *queue) {
	if qs.tail == nil {
		qs.head = q
	} else {
		qs.tail.next = q
	}
	qs.tail = q
}

// take removes the messages of one turn; nil: none wait.
func (qs *queues) take() *block {
	q := qs.head
	if q == nil {
		return nil
	}
	qs.head, q.next = q.next, nil
	if qs.head == nil {
		qs.tail = nil
	}
	batch, n := q.take()
	if qs.n -= n; q.n > 0 {
		qs.append(q)
	}
	return batch
}

// take removes the first blocks, and tells how many messages they hold.
func (q *queue) take() (batch *block, n int) {
	batch = q.first
	last := batch
	n = last.n
	for blocks := 1; blocks < turnBlocks && last.next != nil; blocks++ {
		last = last.next
		n += last.n
	}
	q.first, last.next = last.next, nil
	if q.first == nil {
		q.last = nil
	}
	q.n -= n
	return batch, n
}

// drop gives the memory of queues back that are all empty.
func (qs *queues) drop(g *group) {
	if qs.others != nil {
		g.others.Put(qs.others)
		qs.others = nil
	}
}
