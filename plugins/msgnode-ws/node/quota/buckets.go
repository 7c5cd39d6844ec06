package quota

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// Buckets are token buckets, one for each key. There are at most maxBuckets of them: the least recently used one makes room. A
// key whose bucket was forgotten starts with a full one, so this harms nobody.
type Buckets[K comparable] struct {
	per   rate.Limit
	burst int

	mu sync.Mutex // a take is one step, with what makes room for it
	of *simplelru.LRU[K, *rate.Limiter]
}

// maxBuckets is how many keys are remembered: about 4 MiB.
const maxBuckets = 16 << 10

// NewBuckets makes buckets that fill with per tokens a second and have burst of them at most.
func NewBuckets[K comparable](per rate.Limit, burst int) *Buckets[K] {
	of, _ := simplelru.NewLRU[K, *rate.Limiter](maxBuckets, nil) // fails only for an invalid size
	return &Buckets[K]{per: per, burst: burst, of: of}
}

// Take takes n tokens from key's bucket; or it takes none and returns how long to wait. More than a full bucket costs a full
// one.
func (b *Buckets[K]) Take(key K, n int, now time.Time) (wait time.Duration, ok bool) {
	own := b.lock()
	defer own.unlock()
	return takeFrom(own.get(key), n, now)
}

// Fine takes n tokens, also those that are not there yet: until then Take gives none.
func (b *Buckets[K]) Fine(key K, n int, now time.Time) {
	own := b.lock()
	defer own.unlock()
	l := own.get(key)
	l.ReserveN(now, min(n, l.Burst()))
}

// Reserve takes n tokens, however many they are and also those that are not there yet, and says how long it takes until they are.
func (b *Buckets[K]) Reserve(key K, n int, now time.Time) (wait time.Duration) {
	own := b.lock()
	defer own.unlock()
	for l := own.get(key); n > 0; n -= l.Burst() {
		wait = l.ReserveN(now, min(n, l.Burst())).DelayFrom(now)
	}
	return wait
}

// lockedBuckets are Buckets whose mu is held; functions that need that are their methods.
type lockedBuckets[K comparable] struct{ *Buckets[K] }

// lock locks mu.
func (b *Buckets[K]) lock() lockedBuckets[K] {
	b.mu.Lock()
	return lockedBuckets[K]{b}
}

// unlock unlocks mu.
func (b lockedBuckets[K]) unlock() { b.mu.Unlock() }

// get is a key's bucket.
func (b lockedBuckets[K]) get(key K) *rate.Limiter {
	l, ok := b.of.Get(key)
	if !ok {
		l = rate.NewLimiter(b.per, b.burst)
		b.of.Add(key, l)
	}
	return l
}

func (b *Buckets[K]) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of.Len()
}

// takeFrom is Take for one bucket.
func takeFrom(l *rate.Limiter, n int, now time.Time) (wait time.Duration, ok bool) {
	r := l.ReserveN(now, min(n, l.Burst()))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}
