package work

import (
	"context"
	"sync"
	"sync/atomic"
)

// Queue is a bounded work queue by key. Work of one key is done in order, work of different keys in parallel. A
// key has a goroutine, its worker, while it has work. Begin, and Run or Worker, are set before the first Do.
type Queue[K comparable, V any] struct {
	// Begin runs the function in a goroutine that the owner waits for; ctx ends when the goroutine has to end. If the owner
	// starts no more goroutines, Begin calls the function itself with a ctx that has ended; then the work that waits is
	// dropped. An owner that is dropped with its queue may do nothing instead; then the key stays busy.
	Begin func(func(ctx context.Context))
	Run   func(ctx context.Context, v V)
	// Worker is used in place of Run for work that keeps a state between two items of a key. It calls next for each item, and
	// returns when ok is false.
	Worker func(ctx context.Context, key K, next func() (v V, ok bool))
	Limits Limits

	busy  atomic.Int32 // keys that have work
	mu    sync.Mutex
	lanes Lanes[K, V]
}

// Do queues v after the other work of the key. It does not block. It returns false if the queue is full; then v is not queued.
func (q *Queue[K, V]) Do(key K, size int, v V) bool {
	run, ok := q.add(key, size, &v)
	if run != nil {
		q.Begin(run)
	}
	return ok
}

// add adds an item, and returns the worker that has to begin; nil: none.
func (q *Queue[K, V]) add(key K, size int, v *V) (run func(context.Context), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.lanes.ready {
		q.lanes.Limits = q.Limits
	}
	lane, ok := q.lanes.Add(key, size, *v)
	if lane == nil {
		return nil, ok
	}
	q.busy.Store(int32(q.lanes.Len()))
	if lane.run == nil {
		lane.next = func() (V, bool) { return q.next(lane) }
		lane.run = func(ctx context.Context) { q.work(ctx, lane) }
	}
	return lane.run, ok
}

// Busy tells whether there is work for any key. It takes no lock.
func (q *Queue[K, V]) Busy() bool { return q.busy.Load() > 0 }

// Has tells whether there is work for a key, including an item that is being worked on. If no key has work it takes no lock.
func (q *Queue[K, V]) Has(key K) bool {
	if !q.Busy() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes.Has(key)
}

// Each calls f for each key that has work, with the number of its items and bytes, including the item that is being worked on.
// f must not use the queue.
func (q *Queue[K, V]) Each(f func(key K, items, bytes int)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes.Each(f)
}

// work does the work of a lane until there is no more.
func (q *Queue[K, V]) work(ctx context.Context, in *KeyLane[K, V]) {
	in.ctx = ctx
	if q.Worker != nil {
		q.Worker(ctx, in.key, in.next)
		return
	}
	for v, ok := q.next(in); ok; v, ok = q.next(in) {
		q.Run(ctx, v)
	}
}

// next returns the next item of a lane; ok is false if there is none, or the worker has to end.
func (q *Queue[K, V]) next(in *KeyLane[K, V]) (v V, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if in.ctx.Err() != nil {
		q.lanes.Drop(in)
	} else if v, ok = q.lanes.Next(in); ok {
		return v, true
	}
	q.busy.Store(int32(q.lanes.Len()))
	return v, false
}

// Jobs is a [Queue] of functions. Begin is set before the first Do.
type Jobs[K comparable] struct {
	Begin  func(func(ctx context.Context)) // as in Queue
	Limits Limits

	queue Queue[K, func(ctx context.Context)]
	once  sync.Once
}

// Do queues f after the other work of the key. It does not block. It returns false if the queue is full; then f does not run.
func (j *Jobs[K]) Do(key K, size int, f func(ctx context.Context)) bool {
	j.once.Do(func() {
		j.queue.Begin, j.queue.Limits = j.Begin, j.Limits
		j.queue.Run = func(ctx context.Context, f func(context.Context)) { f(ctx) }
	})
	return j.queue.Do(key, size, f)
}
