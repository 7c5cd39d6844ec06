package table

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// Table maps canonical addresses to V. Any goroutine reads, at any time and without a lock; one goroutine writes. Make it with [New].
//
// A million addresses are in no cache, so the cost of a look-up is the number of places in memory that it reads, one after
// the other. Here it is one, the item, which has the key and the value. Where the item is stands in tags, one byte for
// each item, which are few enough to be in a cache. Keys are spread over Shards indexes by their hash. Each index grows by
// itself, so the cost of a write does not depend on the number of items.
type Table[V any] struct {
	seed   maphash.Seed
	n      atomic.Int64
	shards [Shards]shard[V]
}

// shard is a part of a table. Only the writer uses the numbers.
type shard[V any] struct {
	index atomic.Pointer[index[V]] // nil: nothing in it
	live  int                      // items
	used  int                      // places that are not free: those of the items, and those of items that have gone
}

// New makes an empty table.
func New[V any]() *Table[V] { return &Table[V]{seed: maphash.MakeSeed()} }

func (t *Table[V]) hash(u message.URL) uint64 { return maphash.String(t.seed, string(u)) }

func (t *Table[V]) shard(hash uint64) *shard[V] { return &t.shards[hash>>(64-shardBits)] }

// Get returns the value of u.
func (t *Table[V]) Get(u message.URL) (v V, ok bool) {
	h := t.hash(u)
	if x := t.shard(h).index.Load(); x != nil {
		if at := x.find(h, u); at >= 0 {
			return x.items[at].Value, true
		}
	}
	return v, false
}

// Set enters v, or replaces the value: by a new item, so that a reader of the old item reads all of it.
func (t *Table[V]) Set(u message.URL, v V) {
	h := t.hash(u)
	s := t.shard(h)
	x, before := s.index.Load(), -1
	if x != nil {
		before = x.find(h, u)
	}
	if x == nil || x.crowded(s.used+1) {
		x = t.resize(s, s.live+1)
		before = x.find(h, u)
	}
	in := newItem(u, v)
	x.add(h, &in)
	s.used++
	if before >= 0 {
		x.mark(before, gone)
		return
	}
	s.live++
	t.n.Add(1)
}

// Delete removes u, if it is there.
func (t *Table[V]) Delete(u message.URL) {
	h := t.hash(u)
	s := t.shard(h)
	x := s.index.Load()
	if x == nil {
		return
	}
	at := x.find(h, u)
	if at < 0 {
		return
	}
	x.mark(at, gone)
	s.live--
	t.n.Add(-1)
	switch {
	case s.live == 0:
		s.index.Store(nil)
		s.used = 0
	case x.deserted(s.live):
		t.resize(s, s.live)
	}
}

// resize replaces a shard's index by one that suits n items. Goroutines that still read the old one see the state before.
func (t *Table[V]) resize(s *shard[V], n int) *index[V] {
	next := newIndex[V](n)
	if x := s.index.Load(); x != nil {
		x.each(0, func(in *Item[V]) bool {
			next.add(in.hash(t.seed), in)
			return true
		})
	}
	s.used = s.live
	s.index.Store(next)
	return next
}

// Len is the number of items.
func (t *Table[V]) Len() int { return int(t.n.Load()) }

// Each calls f for the items of the shards from to to-1 until f returns false. Only the writer calls it. f may write to the
// table: items that it sets or deletes may be among the following or not.
func (t *Table[V]) Each(from, to int, f func(*Item[V]) bool) {
	for i := from; i < to; i++ {
		if x := t.shards[i].index.Load(); x != nil && !x.each(0, f) {
			return
		}
	}
}

// Some calls f for up to n items, those next to where u would be, so that no stranger can choose them. Only the writer calls
// it, and f must not write to the table.
func (t *Table[V]) Some(u message.URL, n int, f func(*Item[V])) {
	h := t.hash(u)
	for i := range uint64(Shards) {
		x := t.shards[(h>>(64-shardBits)+i)%Shards].index.Load()
		if x == nil {
			continue
		}
		more := x.each(x.group(h), func(in *Item[V]) bool {
			f(in)
			n--
			return n > 0
		})
		if !more {
			return
		}
	}
}
