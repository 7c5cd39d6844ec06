// Package life is how long the goroutines of a runtime's sessions run, and who waits for them.
//
// All sessions share one [Life]. It is safe for use by many goroutines.
package life

import (
	"context"
	"sync"
)

// Life is that of all goroutines of the sessions of a runtime. [New] makes it.
type Life struct {
	context context.Context
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu     sync.RWMutex
	ending bool // no goroutine begins any more, but those of others that run
}

// New begins a life, which [Life.End] ends.
func New() *Life {
	l := &Life{}
	l.context, l.cancel = context.WithCancel(context.Background())
	return l
}

// Context ends with End.
func (l *Life) Context() context.Context { return l.context }

// Begin counts a goroutine that End has to wait for, until it calls Done. It is false after Stop: nothing may begin.
func (l *Life) Begin() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.ending {
		return false
	}
	l.group.Add(1)
	return true
}

// Join is Begin for whoever knows that End does not wait yet.
func (l *Life) Join() { l.group.Add(1) }

// Done is the end of a Begin or a Join.
func (l *Life) Done() { l.group.Done() }

// Go runs f in a goroutine that joins.
func (l *Life) Go(f func()) { l.group.Go(f) }

// Spawn runs f in a goroutine of its own. After Stop it runs f at once, with a context that has ended.
func (l *Life) Spawn(f func(ctx context.Context)) {
	if l.Begin() {
		go func() {
			defer l.Done()
			f(l.context)
		}()
		return
	}
	ended, end := context.WithCancel(l.context)
	end()
	f(ended)
}

// Stop keeps goroutines from beginning.
func (l *Life) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
}

// Stopped tells whether Stop was called.
func (l *Life) Stopped() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.ending
}

// End ends the context, and waits for all goroutines.
func (l *Life) End() {
	l.cancel()
	l.group.Wait()
}
