package quota

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Buckets are token buckets, one for each key. There are at most max of them: the one that was not used for longest makes
// room. Whoever gets a bucket anew starts with a full one, so being forgotten harms nobody. (The allowances of core/session
// never forget a bucket that is not full again, and have what is over their number share one: there a fresh bucket would be a
// way round the limit.)
type Buckets[K comparable] struct {
	per   rate.Limit
	burst int
	max   int

	mu   sync.Mutex
	used list.List // of *bucket[K], the last used first
	of   map[K]*list.Element
}

type bucket[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

// maxBuckets is how many keys are remembered: about 4 MiB.
const maxBuckets = 16 << 10

func NewBuckets[K comparable](per rate.Limit, burst int) *Buckets[K] {
	return &Buckets[K]{per: per, burst: burst, max: maxBuckets, of: map[K]*list.Element{}}
}

// Take takes n tokens of key's bucket, or none and says when to try again. More than a full bucket costs a full one.
func (b *Buckets[K]) Take(key K, n int, now time.Time) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return takeFrom(b.get(key), n, now)
}

// Fine takes n tokens, also those that are not there yet: until they are, take gives none.
func (b *Buckets[K]) Fine(key K, n int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.get(key)
	l.ReserveN(now, min(n, l.Burst()))
}

// Reserve takes n tokens, however many they are and also those that are not there yet, and says how long it takes until they are.
func (b *Buckets[K]) Reserve(key K, n int, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := b.get(key); n > 0; n -= l.Burst() {
		wait = l.ReserveN(now, min(n, l.Burst())).DelayFrom(now)
	}
	return wait
}

// get is a key's bucket. b.mu is held.
func (b *Buckets[K]) get(key K) *rate.Limiter {
	e := b.of[key]
	if e == nil {
		if b.used.Len() >= b.max {
			last := b.used.Back()
			delete(b.of, last.Value.(*bucket[K]).key)
			b.used.Remove(last)
		}
		e = b.used.PushFront(&bucket[K]{key, rate.NewLimiter(b.per, b.burst)})
		b.of[key] = e
	} else {
		b.used.MoveToFront(e)
	}
	return e.Value.(*bucket[K]).limiter
}

func (b *Buckets[K]) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used.Len()
}

// takeFrom takes n tokens of a bucket, or none and says when to try again.
func takeFrom(l *rate.Limiter, n int, now time.Time) (wait time.Duration, ok bool) {
	r := l.ReserveN(now, min(n, l.Burst()))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}
