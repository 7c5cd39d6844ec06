// Package backoff has the pauses between attempts that fail: each twice as long as the one before, within bounds, and jittered,
// so that clients that failed at the same time do not try again at the same time.
package backoff

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// Backoff has the pauses of one client. The zero value is ready for use. It is for one goroutine, or guarded by its owner's lock.
type Backoff struct {
	Min time.Duration // bound of the first pause; 0: 100 ms
	Max time.Duration // bound of the longest pause; 0: 30 s

	bound time.Duration // of the last pause; 0: there was none since the last Reset
}

// Next returns the pause after one more failure: between half of its bound and all of it. The bound doubles from Min to Max.
func (b *Backoff) Next() time.Duration {
	most := cmp.Or(b.Max, 30*time.Second)
	if b.bound > most/2 {
		b.bound = most
	} else {
		b.bound = min(max(2*b.bound, cmp.Or(b.Min, 100*time.Millisecond)), most)
	}
	return b.bound/2 + rand.N(b.bound-b.bound/2+1)
}

// Reset forgets the failures: an attempt has succeeded, or an event says that the next one may succeed.
func (b *Backoff) Reset() { b.bound = 0 }

// Wait waits for the next pause. It returns false if ctx ends before.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Sleep waits for d. It returns false if ctx ends before.
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
