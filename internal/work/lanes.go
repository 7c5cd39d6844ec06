package work

import (
	"cmp"
	"context"
)

// Limits are the limits of [Lanes]. A zero is the default.
type Limits struct {
	Keys     int // keys that have work at one time; default 1,024
	Items    int // items that wait for one key; default 256
	Bytes    int // bytes of one key, with the item that is being worked on; default 4 MiB
	AllBytes int // bytes of all keys; default 64 MiB
	Overhead int // bytes that an item counts beside its size; default 512
}

func (l Limits) usual() Limits {
	return Limits{cmp.Or(l.Keys, 1024), cmp.Or(l.Items, 256), cmp.Or(l.Bytes, 4<<20), cmp.Or(l.AllBytes, 64<<20), cmp.Or(l.Overhead, 512)}
}

// Lanes has a [Lane] for each key that has work. The zero value works, with the default limits. The owner's lock guards it.
type Lanes[K comparable, V any] struct {
	Limits Limits

	ready  bool // the defaults have been set
	by     map[K]*KeyLane[K, V]
	bytes  int
	memory Memory[sized[V]]
	spare  []*KeyLane[K, V] // lanes without work, for reuse
}

// maxSpare is how many lanes without work are kept.
const maxSpare = 16

// KeyLane is the lane of one key.
type KeyLane[K comparable, V any] struct {
	key   K
	lane  Lane[sized[V]]
	bytes int // of the items that wait and of the one that is being worked on
	now   int // bytes of the item that is being worked on; 0: there is none

	// Of Queue: the worker, and how it gets its items.
	ctx  context.Context
	run  func(ctx context.Context)
	next func() (V, bool)
}

type sized[V any] struct {
	v    V
	size int
}

// Len returns how many keys have work.
func (l *Lanes[K, V]) Len() int { return len(l.by) }

// Has tells whether there is work for a key.
func (l *Lanes[K, V]) Has(key K) bool { return l.by[key] != nil }

// Each calls f for each key that has work, with the number of its items and bytes, including the item that is being worked on.
func (l *Lanes[K, V]) Each(f func(key K, items, bytes int)) {
	for key, in := range l.by {
		n := in.lane.Len()
		if in.now > 0 {
			n++
		}
		f(key, n, in.bytes)
	}
}

// Add adds work for a key. ok is false if a limit is reached: then the work is not taken. If begin is not nil the caller starts
// a worker for it, which calls Next until there is no more work.
func (l *Lanes[K, V]) Add(key K, size int, v V) (begin *KeyLane[K, V], ok bool) {
	if !l.ready {
		l.ready, l.Limits, l.by = true, l.Limits.usual(), map[K]*KeyLane[K, V]{}
	}
	size += l.Limits.Overhead
	in := l.by[key]
	switch {
	case l.bytes+size > l.Limits.AllBytes, in == nil && len(l.by) >= l.Limits.Keys:
		return nil, false
	case in != nil && (in.lane.Len() >= l.Limits.Items || in.bytes+size > l.Limits.Bytes):
		return nil, false
	}
	if in == nil {
		in = l.lane(key)
	}
	in.bytes += size
	l.bytes += size
	if in.lane.Add(0, &sized[V]{v, size}) {
		begin = in
	}
	return begin, true
}

func (l *Lanes[K, V]) lane(key K) (in *KeyLane[K, V]) {
	if n := len(l.spare); n > 0 {
		in, l.spare[n-1] = l.spare[n-1], nil
		l.spare = l.spare[:n-1]
	} else {
		in = &KeyLane[K, V]{}
		in.lane.Memory = &l.memory
	}
	in.key = key
	l.by[key] = in
	return in
}

// Next ends the item that the worker of in has worked on, and returns the next one. If ok is false the key has
// no more work, and the worker has ended.
func (l *Lanes[K, V]) Next(in *KeyLane[K, V]) (v V, ok bool) {
	in.bytes -= in.now
	l.bytes -= in.now
	in.now = 0
	next, ok := in.lane.Next()
	if !ok {
		l.leave(in)
		return v, false
	}
	in.now = next.size
	return next.v, true
}

// Drop ends the worker of in, and drops the work that waits for the key.
func (l *Lanes[K, V]) Drop(in *KeyLane[K, V]) {
	for {
		if _, ok := l.Next(in); !ok {
			return
		}
	}
}

func (l *Lanes[K, V]) leave(in *KeyLane[K, V]) {
	delete(l.by, in.key)
	if len(l.spare) < maxSpare {
		var none K
		in.key, in.ctx = none, nil
		l.spare = append(l.spare, in)
	}
}
