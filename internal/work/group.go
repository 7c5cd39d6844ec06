package work

import (
	"context"
	"sync"
)

// Group is a group of goroutines that end together. It is made by [NewGroup]; its methods may be called from many goroutines.
//
// Go starts a goroutine. One that somebody else starts, or that runs already, belongs to the group from Begin or Join until Done.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	stopped bool // nothing begins any more
	wg      sync.WaitGroup
}

// NewGroup makes a group without goroutines. The owner calls End and Wait.
func NewGroup() *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Context is cancelled by End.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs f in a goroutine of the group, with the group's context. After Stop or End f is not run.
func (g *Group) Go(f func(ctx context.Context)) {
	if g.Begin() {
		go func() {
			defer g.Done()
			f(g.ctx)
		}()
	}
}

// Begin adds a goroutine to the group until it calls Done. It is false after Stop or End: the goroutine is not to run.
func (g *Group) Begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped {
		g.wg.Add(1)
	}
	return !g.stopped
}

// Join is Begin also after Stop, for a caller that knows that Wait has not returned: it is in the group itself, or may call
// Wait only later.
func (g *Group) Join() { g.wg.Add(1) }

// Done ends what Begin or Join has begun.
func (g *Group) Done() { g.wg.Done() }

// Stop keeps goroutines from beginning. Those that run go on, and what they need may join.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
}

// Stopped tells whether Stop or End was called.
func (g *Group) Stopped() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped
}

// End cancels the context, and does not wait for the goroutines. It may be called more than once, and needs no Stop before.
func (g *Group) End() {
	g.cancel()
	g.Stop()
}

// Wait returns when no goroutine of the group runs. It is called after End: before that more may begin.
func (g *Group) Wait() { g.wg.Wait() }

// Ended tells whether End was called.
func (g *Group) Ended() bool { return g.ctx.Err() != nil }
