package table

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

// Table maps canonical addresses to V. Any goroutine reads, at any time and without a lock; one goroutine writes. Make it with [New].
//
// A million addresses are in no cache, so what a look-up costs is how many places of that memory it goes to, one after
// the other. Here it is one, the item, which has its key and its value; where it is stands in tags, of a byte for each
// item, which are few enough to be near. Keys are in one of Shards indexes, by their hash. Each grows by itself, so
// what a write costs does not depend on how many are known.
type Table[V any] struct {
	seed   maphash.Seed
	n      atomic.Int64
	shards [Shards]shard[V]
}

// shard is a part of a table. The writer alone uses the numbers.
type shard[V any] struct {
	index atomic.Pointer[index[V]] // nil: nothing in it
	live  int                      // items
	used  int                      // places that are not free: those of the items, and those of items that have gone
}

// New makes an empty table.
func New[V any]() *Table[V] { return &Table[V]{seed: maphash.MakeSeed()} }

func (t *Table[V]) hash(u message.URL) uint64 { return maphash.String(t.seed, string(u)) }

func (t *Table[V]) shard(hash uint64) *shard[V] { return &t.shards[hash>>(64-shardBits)] }

// Get is what is entered for u.
func (t *Table[V]) Get(u message.URL) (v V, ok bool) {
	h := t.hash(u)
	if x := t.shard(h).index.Load(); x != nil {
		if at := x.find(h, u); at >= 0 {
			return x.items[at].Value, true
		}
	}
	return v, false
}

// Set enters v, or replaces what was there: by a new item, so that whoever reads the old one reads all of it.
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

// Delete takes out what is entered for u, if anything is.
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

// resize replaces a shard's index by one that suits n items. Whoever still reads the old one sees what was there before.
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

// Len is how many there are.
func (t *Table[V]) Len() int { return int(t.n.Load()) }

// Each calls f for the items of the shards from to to-1 until f returns false. Only the writer calls it. f may write to
// the table: what it sets may come or not, and so may what it deletes.
func (t *Table[V]) Each(from, to int, f func(*Item[V]) bool) {
	for i := from; i < to; i++ {
		if x := t.shards[i].index.Load(); x != nil && !x.each(0, f) {
			return
		}
	}
}

// Some calls f for up to n items that nobody can choose: those next to where u would be. Only the writer calls it, and f
// does not write to the table.
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
