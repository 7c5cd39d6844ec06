package work

import (
	"context"
	"sync"
)

// Queue is work that must not hold up whoever brings it: in order for each key, side by side for different keys, bounded. A
// key's goroutine lives as long as there is work. Begin and Run are set before the first Do.
type Queue[K comparable, V any] struct {
	Begin  func(func(ctx context.Context)) // runs a goroutine that somebody waits for; its ctx ends when they are to end
	Run    func(ctx context.Context, v V)
	Limits Limits

	mu    sync.Mutex
	lanes Lanes[K, V]
}

// Do has v worked on after what was brought before for the key. It does not wait; false: there is no room, it was not taken.
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

// work does what waits in a lane until there is nothing more.
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

// Do has f run after what was brought before for the key. It does not wait; false: there is no room, f does not run.
func (j *Jobs[K]) Do(key K, size int, f func(ctx context.Context)) bool {
	j.once.Do(func() {
		j.queue.Begin, j.queue.Limits = j.Begin, j.Limits
		j.queue.Run = func(ctx context.Context, f func(context.Context)) { f(ctx) }
	})
	return j.queue.Do(key, size, f)
}
