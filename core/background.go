package core

import (
	"context"
	"sync"
)

// background is the goroutines of a runtime that belong to no component. It is made by newBackground.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	ending bool // nothing is begun any more
	wg     sync.WaitGroup
}

func newBackground() *background {
	b := &background{}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Go runs f in a goroutine that wait waits for; its context ends with end. After that f is not run.
func (b *background) Go(f func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ending {
		b.wg.Go(func() { f(b.ctx) })
	}
}

// end ends the contexts of all.
func (b *background) end() {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ending = true
}

// wait waits for all. It comes after end.
func (b *background) wait() { b.wg.Wait() }

// ended tells whether end was called.
func (b *background) ended() bool { return b.ctx.Err() != nil }
