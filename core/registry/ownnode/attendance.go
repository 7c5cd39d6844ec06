package ownnode

import (
	"context"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// Attendance is whether the own domain's Message Node is there, and what it is to be told when it is back. While it is away
// nobody waits for it: addresses of this runtime are used at once, and are entered there later.
type Attendance[T any] struct {
	mu    sync.Mutex
	there context.Context // ends when the node goes; nil: it has never been there, and is waited for as ever
	gone  context.CancelFunc
	names map[message.URL]struct{} // wished for and granted in this life: they stay this runtime's
	owed  map[message.URL]T        // unregistered while the node was away, by address
}

const (
	maxNames = 4096
	maxOwed  = 4096 // unregistered while the node was away; of more the entries expire
)

// Set notes that the node is there, or is not any more.
func (a *Attendance[T]) Set(there bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !there && a.there != nil:
		a.gone()
	case there && (a.there == nil || a.there.Err() != nil):
		a.there, a.gone = context.WithCancel(context.Background())
	}
}

// While is ctx, which ends also when the node goes.
func (a *Attendance[T]) While(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	there := a.there
	a.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	switch {
	case there == nil:
		return ctx, cancel
	case there.Err() != nil:
		cancel()
		return ctx, cancel
	}
	stop := context.AfterFunc(there, cancel)
	return ctx, func() { stop(); cancel() }
}

// Granted notes a name that the node has given.
func (a *Attendance[T]) Granted(name message.URL) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.names == nil || len(a.names) >= maxNames {
		a.names = map[message.URL]struct{}{}
	}
	a.names[name.Canonical()] = struct{}{}
}

// Forget notes that a name is not this runtime's any more.
func (a *Attendance[T]) Forget(name message.URL) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.names, name.Canonical())
}

// Knows tells whether the node has given a name.
func (a *Attendance[T]) Knows(name message.URL) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.names[name.Canonical()]
	return ok
}

// Owe notes that the node is still to hear that an address has gone, of which what is to be known; with gone false that it is in use again.
func (a *Attendance[T]) Owe(url message.URL, what T, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch key := url.Canonical(); {
	case !gone:
		delete(a.owed, key)
	case len(a.owed) < maxOwed:
		if a.owed == nil {
			a.owed = map[message.URL]T{}
		}
		a.owed[key] = what
	}
}

// Debts takes what the node is to be told.
func (a *Attendance[T]) Debts() []T {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]T, 0, len(a.owed))
	for _, what := range a.owed {
		list = append(list, what)
	}
	a.owed = nil
	return list
}
