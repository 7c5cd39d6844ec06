package p2p

import (
	"context"
	"sync"
	"time"
)

// watch ends the blocking calls of one direction when a context ends, by setting a deadline. It watches a context from call to
// call, so that callers that keep using the same context pay for it once.
type watch struct {
	expire func(time.Time) error

	mu    sync.Mutex
	done  <-chan struct{} // of the context that is watched; nil: none
	stop  func() bool
	fired chan struct{} // closed when the deadline has been set
	ended bool          // the channel is closed: nothing blocks any more
}

// over watches ctx instead of what was watched before.
func (w *watch) over(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Done() == w.done || w.ended {
		return
	}
	w.drop()
	if ctx.Done() == nil {
		return
	}
	fired := make(chan struct{})
	w.done, w.fired = ctx.Done(), fired
	w.stop = context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = w.expire(time.Unix(1, 0))
	})
}

// release watches nothing from now on.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.drop()
}

func (w *watch) drop() {
	if w.done == nil {
		return
	}
	if !w.stop() {
		<-w.fired
		_ = w.expire(time.Time{})
	}
	w.done, w.stop, w.fired = nil, nil, nil
}
