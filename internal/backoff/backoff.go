// Package backoff is the pauses between tries that fail: each twice as long as the one before, within bounds, and jittered, so
// that those who failed together do not try together.
package backoff

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pauses of one who tries. The zero value is ready. It is for one goroutine, or guarded by its owner's lock.
type Backoff struct {
	Min time.Duration // bound of the first pause; 0: 100 ms
	Max time.Duration // and of the longest; 0: 30 s

	bound time.Duration // of the pause that was last; 0: none since the last Reset
}

// Next is the pause after one more failure: between half of its bound and all of it. The bound doubles from Min to Max.
func (b *Backoff) Next() time.Duration {
	most := cmp.Or(b.Max, 30*time.Second)
	if b.bound > most/2 {
		b.bound = most
	} else {
		b.bound = min(max(2*b.bound, cmp.Or(b.Min, 100*time.Millisecond)), most)
	}
	return b.bound/2 + rand.N(b.bound-b.bound/2+1)
}

// Reset forgets the failures: a try has succeeded, or an event says that the next one may.
func (b *Backoff) Reset() { b.bound = 0 }

// Wait waits for the next pause. It is false where ctx ends before.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Sleep waits for d. It is false where ctx ends before.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
