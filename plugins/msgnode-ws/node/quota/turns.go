package quota

import (
	"container/list"
	"context"
	"sync"
)

// Turns lets one connection's request be computed at a time, so that at least one processor is left for what is only passed
// on, however many connections ask. Addresses take turns, so that many connections of one address get no more than one
// does. The zero value is ready.
type Turns struct {
	mu      sync.Mutex
	taken   bool
	waiting list.List // of *queue, the one whose turn it is first
	of      map[Asker]*list.Element
}

// Asker has a turn: an address, or, where addresses are not counted, a connection.
type Asker struct {
	From Source
	Conn uint64
}

// AskerOf is the asker that a connection of an address is.
func AskerOf(from Source, conn uint64) Asker {
	if from.IsValid() {
		return Asker{From: from}
	}
	return Asker{Conn: conn}
}

// queue has the requests of one asker that wait, in order.
type queue struct {
	asker   Asker
	waiting []chan struct{}
}

// Take waits for a's turn, which Give ends. The error is ctx's.
func (t *Turns) Take(ctx context.Context, a Asker) error {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	if t.of == nil {
		t.of = map[Asker]*list.Element{}
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

// leave ends waiting. A turn that has come meanwhile goes to the next one.
func (t *Turns) leave(a Asker, mine chan struct{}) {
	l := t.lock()
	defer l.unlock()
	e := t.of[a]
	if e != nil {
		q := e.Value.(*queue)
		for i, w := range q.waiting {
			if w == mine {
				q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
				l.done(e)
				return
			}
		}
	}
	l.pass()
}

// Give ends a turn.
func (t *Turns) Give() {
	l := t.lock()
	defer l.unlock()
	l.pass()
}

// lockedTurns are Turns whose mu is held; functions that need that are their methods.
type lockedTurns struct{ *Turns }

// lock locks mu.
func (t *Turns) lock() lockedTurns {
	t.mu.Lock()
	return lockedTurns{t}
}

// unlock unlocks mu.
func (t lockedTurns) unlock() { t.mu.Unlock() }

// pass gives the turn to the next one.
func (t lockedTurns) pass() {
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

// done forgets an asker that has nobody waiting.
func (t lockedTurns) done(e *list.Element) {
	if q := e.Value.(*queue); len(q.waiting) == 0 {
		delete(t.of, q.asker)
		t.waiting.Remove(e)
	}
}

// State is for tests: whether a request has the turn, and how many askers wait for it.
func (t *Turns) State() (taken bool, askers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taken, t.waiting.Len()
}
