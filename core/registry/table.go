package registry

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
)

const shardCount = 256

// table maps canonical addresses to V. Any goroutine reads; the loop writes. A write holds one of the shards for the
// time of one map operation, so readers neither wait for each other nor see a copy being made.
type table[V any] struct {
	seed   maphash.Seed
	n      atomic.Int64
	shards [shardCount]shard[V]
}

type shard[V any] struct {
	mu sync.RWMutex
	m  map[message.URL]V
	_  [32]byte // shards on cache lines of their own
}

func newTable[V any]() *table[V] { return &table[V]{seed: maphash.MakeSeed()} }

func (t *table[V]) shard(u message.URL) *shard[V] {
	return &t.shards[maphash.String(t.seed, string(u))%shardCount]
}

func (t *table[V]) get(u message.URL) (V, bool) {
	s := t.shard(u)
	s.mu.RLock()
	v, ok := s.m[u]
	s.mu.RUnlock()
	return v, ok
}

func (t *table[V]) set(u message.URL, v V) {
	s := t.shard(u)
	s.mu.Lock()
	if s.m == nil {
		s.m = make(map[message.URL]V)
	}
	before := len(s.m)
	s.m[u] = v
	grown := len(s.m) - before
	s.mu.Unlock()
	t.n.Add(int64(grown))
}

func (t *table[V]) delete(u message.URL) {
	s := t.shard(u)
	s.mu.Lock()
	before := len(s.m)
	delete(s.m, u)
	shrunk := before - len(s.m)
	s.mu.Unlock()
	t.n.Add(int64(-shrunk))
}

func (t *table[V]) len() int { return int(t.n.Load()) }

// each calls f for the items of the shards from to to-1 until f returns false. Only the loop calls it: nothing is
// locked, so f may write to the table.
func (t *table[V]) each(from, to int, f func(message.URL, V) bool) {
	for i := from; i < to; i++ {
		for u, v := range t.shards[i].m {
			if !f(u, v) {
				return
			}
		}
	}
}
