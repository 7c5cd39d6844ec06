package loop

import (
	"container/heap"
	"time"
)

// Agenda has entries that are due at times. The zero value is empty. It takes no lock and has no clock: its owner passes the
// time.
type Agenda[T any] struct{ entries entries[T] }

// Entry is one thing that is due at a time.
type Entry[T any] struct {
	at    time.Time
	what  T
	index int // in the heap; -1: not in it
}

// Add makes an entry that is due at a time.
func (a *Agenda[T]) Add(at time.Time, what T) *Entry[T] {
	e := &Entry[T]{at: at, what: what}
	heap.Push(&a.entries, e)
	return e
}

// Cancel removes an entry; nil, or one that was due, is fine.
func (a *Agenda[T]) Cancel(e *Entry[T]) {
	if e != nil && e.index >= 0 {
		heap.Remove(&a.entries, e.index)
	}
}

// Next says when the next entry is due; false: there is none.
func (a *Agenda[T]) Next() (time.Time, bool) {
	if len(a.entries) == 0 {
		return time.Time{}, false
	}
	return a.entries[0].at, true
}

// Due removes the next entry that is due at now; false: none is.
func (a *Agenda[T]) Due(now time.Time) (what T, ok bool) {
	if len(a.entries) == 0 || a.entries[0].at.After(now) {
		return what, false
	}
	return heap.Pop(&a.entries).(*Entry[T]).what, true
}

// entries is a heap, the next one first.
type entries[T any] []*Entry[T]

func (e entries[T]) Len() int           { return len(e) }
func (e entries[T]) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e entries[T]) Swap(i, j int)      { e[i], e[j] = e[j], e[i]; e[i].index, e[j].index = i, j }
func (e *entries[T]) Push(x any) {
	in := x.(*Entry[T])
	in.index = len(*e)
	*e = append(*e, in)
}
func (e *entries[T]) Pop() any {
	last := len(*e) - 1
	in := (*e)[last]
	(*e)[last], *e, in.index = nil, (*e)[:last], -1
	return in
}
