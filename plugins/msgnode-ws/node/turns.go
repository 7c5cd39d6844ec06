package node

import (
	"container/list"
	"context"
	"sync"
)

// turns has one connection's request computed at a time, so that at least one processor is left for what is only passed on,
// however many connections ask. Who waits is served by addresses in turn: many connections of one are no more right. The
// zero value is ready.
type turns struct {
	mu      sync.Mutex
	taken   bool
	waiting list.List // of *queue, the one whose turn it is first
	of      map[asker]*list.Element
}

// asker is whose turn it is: an address, or, where that stands for nobody in particular, a connection.
type asker struct {
	from source
	conn uint64
}

// queue is who waits of one asker, the first first.
type queue struct {
	asker   asker
	waiting []chan struct{}
}

// asker is whom the connection's turns are counted by.
func (c *conn) asker() asker {
	if c.from.IsValid() {
		return asker{from: c.from}
	}
	return asker{conn: c.id}
}

// take waits for a's turn. Whoever got it calls give. The error is ctx's.
func (t *turns) take(ctx context.Context, a asker) error {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	if t.of == nil {
		t.of = map[asker]*list.Element{}
	}
	e := t.of[a]
	if e == nil {
		e = t.waiting.PushBack(&queue{asker: a})
		t.of[a] = e
	}
	q, mine := e.Value.(*queue), make(chan struct{})
	q.waiting = append(q.waiting, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.leave(a, mine)
	return ctx.Err()
}

// leave ends waiting. A turn that has come meanwhile is the next one's.
func (t *turns) leave(a asker, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of[a]
	if e != nil {
		q := e.Value.(*queue)
		for i, w := range q.waiting {
			if w == mine {
				q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
				t.done(e)
				return
			}
		}
	}
	t.pass()
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass gives the turn to the next one. t.mu is held.
func (t *turns) pass() {
	e := t.waiting.Front()
	if t.taken = e != nil; !t.taken {
		return
	}
	q := e.Value.(*queue)
	close(q.waiting[0])
	q.waiting = q.waiting[1:]
	t.waiting.MoveToBack(e)
	t.done(e)
}

// done forgets an asker that has nobody waiting. t.mu is held.
func (t *turns) done(e *list.Element) {
	if q := e.Value.(*queue); len(q.waiting) == 0 {
		delete(t.of, q.asker)
		t.waiting.Remove(e)
	}
}

// begin waits until the node may compute for c, if it may not already; its reader calls it. finish ends that, and may be called when
// it has ended.
func (c *conn) begin() error {
	if c.hasTurn {
		return nil
	}
	err := c.node.turns.take(c.ctx, c.asker())
	c.hasTurn = err == nil
	return err
}

func (c *conn) finish() {
	if c.hasTurn {
		c.hasTurn = false
		c.node.turns.give()
	}
}
