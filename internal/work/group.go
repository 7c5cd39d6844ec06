package work

import (
	"context"
	"sync"
)

// Group is a group of goroutines that end together. It is made by [NewGroup]; its methods may be called from many goroutines.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	ended bool // no goroutine is started any more
	wg    sync.WaitGroup
}

// NewGroup makes a group without goroutines. The owner calls End and Wait.
func NewGroup() *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Go runs f in a goroutine of the group. The context of f is cancelled by End. After End f is not run.
func (g *Group) Go(f func(ctx context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.wg.Go(func() { f(g.ctx) })
	}
}

// End cancels the context of every goroutine, and does not wait for them. It may be called more than once.
func (g *Group) End() {
	g.cancel()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
}

// Wait returns when no goroutine of the group runs. It is called after End: before that more may be started.
func (g *Group) Wait() { g.wg.Wait() }

// Ended tells whether End was called.
func (g *Group) Ended() bool { return g.ctx.Err() != nil }
