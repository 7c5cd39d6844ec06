package work

import (
	"context"
	"sync"
)

// Queue is a bounded work queue by key. Work of one key is done in order, work of different keys in parallel. A
// key has a goroutine while it has work. Begin and Run are set before the first Do.
type Queue[K comparable, V any] struct {
	Begin  func(func(ctx context.Context)) // runs the function in a goroutine that the owner waits for; ctx ends when it has to end
	Run    func(ctx context.Context, v V)
	Limits Limits

	mu    sync.Mutex
	lanes Lanes[K, V]
}

// Do queues v after the other work of the key. It does not block. It returns false if the queue is full; then v is not queued.
func (q *Queue[K, V]) Do(key K, size int, v V) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.lanes.ready {
		q.lanes.Limits = q.Limits
	}
	lane, ok := q.lanes.Add(key, size, v)
	if lane != nil {
		if lane.run == nil {
			lane.run = func(ctx context.Context) { q.work(ctx, lane) }
		}
		q.Begin(lane.run)
	}
	return ok
}

// work does the work of a lane until there is no more.
func (q *Queue[K, V]) work(ctx context.Context, in *KeyLane[K, V]) {
	for {
		q.mu.Lock()
		if ctx.Err() != nil {
			q.lanes.Drop(in)
			q.mu.Unlock()
			return
		}
		v, ok := q.lanes.Next(in)
		q.mu.Unlock()
		if !ok {
			return
		}
		q.Run(ctx, v)
	}
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
