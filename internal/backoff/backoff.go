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

	failures int // since the last Reset
}

// Next returns the pause after one more failure: between half of its bound and all of it. The bound doubles from Min to Max.
func (b *Backoff) Next() time.Duration {
	b.failures++
	bound := b.Bound(b.failures)
	return bound/2 + rand.N(bound-bound/2+1)
}

// Bound returns the bound of the pause after n failures in a row, for a client that counts them itself. n is at least 1.
func (b *Backoff) Bound(n int) time.Duration {
	bound, most := cmp.Or(b.Min, 100*time.Millisecond), cmp.Or(b.Max, 30*time.Second)
	for ; n > 1 && bound <= most/2; n-- {
		bound *= 2
	}
	if n > 1 {
		return most
	}
	return min(bound, most)
}

// Around returns a random duration that is d, a quarter more or less. It is for one wait of many clients that may begin at the same
// time, and for a pause after a [Backoff.Bound].
func Around(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// Reset forgets the failures: an attempt has succeeded, or an event says that the next one may succeed.
func (b *Backoff) Reset() { b.failures = 0 }

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
