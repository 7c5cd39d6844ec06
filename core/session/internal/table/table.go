// Package table is where the sessions of a runtime are found, how many there may be, and when idle ones are looked for.
//
// All sessions share one [Table] and one [Sweep]. So they are safe for use by many goroutines, unlike the parts that one
// session owns.
package table

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// evictPart is which part of the table makes room at once.
const evictPart = 64

// Table is sessions by the canonical URL of their remote runtimes. S is a pointer to one.
type Table[S comparable] struct {
	most   int
	mu     sync.RWMutex
	by     map[message.URL]S
	closed bool
}

// New is an empty table for so many sessions.
func New[S comparable](most int) *Table[S] {
	return &Table[S]{most: most, by: make(map[message.URL]S)}
}

// Find is the session with remote; none where there is none.
func (t *Table[S]) Find(remote message.URL) (one S) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.by[remote]
}

// All is a copy of the list of sessions, in no order.
func (t *Table[S]) All() []S {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]S, 0, len(t.by))
	for _, one := range t.by {
		list = append(list, one)
	}
	return list
}

// Put is what became of a session that was to enter.
type Put uint8

const (
	Entered Put = iota
	Exists      // there is another one with that runtime
	Full
	Closed
)

// Enter puts a session into the table. Of the table an eighth is left for the runtimes that this one has something to say to;
// stranger: the other side has begun.
func (t *Table[S]) Enter(remote message.URL, one S, stranger bool) Put {
	limit := t.most
	if stranger {
		limit -= limit / 8
	}
	var none S
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return Closed
	case t.by[remote] != none:
		return Exists
	case len(t.by) >= limit:
		return Full
	}
	t.by[remote] = one
	return Entered
}

// Forget takes a session out, where it is there.
func (t *Table[S]) Forget(remote message.URL, one S) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[remote] == one {
		delete(t.by, remote)
	}
}

// Close lets no session enter any more.
func (t *Table[S]) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// Candidate is a session that can make room for others, and when its runtime was heard of last.
type Candidate[S comparable] struct {
	One  S
	Used time.Duration
}

// Oldest are those of the list that make room now: some that nothing was heard of for longest.
func (t *Table[S]) Oldest(list []Candidate[S]) []Candidate[S] {
	slices.SortFunc(list, func(a, b Candidate[S]) int { return cmp.Compare(a.Used, b.Used) })
	return list[:min(len(list), max(1, t.most/evictPart))]
}
