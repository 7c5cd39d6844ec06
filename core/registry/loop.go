package registry

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// ErrClosed is the error of calls to a Registry that has been closed.
var ErrClosed = errors.New("registry: closed")

// run is the loop: the one goroutine that writes. Everything that is said to "run in the loop" is called from here.
func (r *Registry) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if len(r.agenda) > 0 {
			timer.Reset(time.Until(r.agenda[0].at))
			due = timer.C
		}
		select {
		case <-r.ctx.Done():
			return
		case task := <-r.tasks:
			task()
		case <-due:
			for now := time.Now(); len(r.agenda) > 0 && !r.agenda[0].at.After(now); {
				heap.Pop(&r.agenda).(*appointment).task()
			}
		}
	}
}

// do queues a task for the loop. It blocks while the queue is full. It must not be called in the loop.
func (r *Registry) do(task func()) bool {
	select {
	case r.tasks <- task:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// ask has the loop run task and waits for it. Where it returns an error the task may still run: what it writes must
// not be read then. It must not be called in the loop.
func (r *Registry) ask(ctx context.Context, task func()) error {
	done := make(chan struct{})
	select {
	case r.tasks <- func() { task(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ctx.Done():
		return ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// spawn runs f in a goroutine that Close waits for; its context ends then.
func (r *Registry) spawn(f func(ctx context.Context)) {
	r.life.Lock()
	defer r.life.Unlock()
	if r.closed {
		return
	}
	r.wait.Go(func() { f(r.ctx) })
}

// appointment is a task for later.
type appointment struct {
	at    time.Time
	task  func()
	index int // in the agenda; -1: out of it
}

// at makes an appointment. It runs in the loop.
func (r *Registry) at(t time.Time, task func()) *appointment {
	a := &appointment{at: t, task: task}
	heap.Push(&r.agenda, a)
	return a
}

// cancel takes an appointment out of the agenda; nil and a past one are fine. It runs in the loop.
func (r *Registry) cancel(a *appointment) {
	if a != nil && a.index >= 0 {
		heap.Remove(&r.agenda, a.index)
	}
}

// agenda is a heap of appointments, the next one first.
type agenda []*appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i]; a[i].index, a[j].index = i, j }
func (a *agenda) Push(x any) {
	p := x.(*appointment)
	p.index = len(*a)
	*a = append(*a, p)
}
func (a *agenda) Pop() any {
	last := len(*a) - 1
	p := (*a)[last]
	(*a)[last], *a, p.index = nil, (*a)[:last], -1
	return p
}

// jitter is d, a quarter more or less.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

// backoff is the pause after n failures in a row (n from 1).
func (r *Registry) backoff(n int) time.Duration {
	d := r.opts.Backoff
	for i := 1; i < n && d < r.opts.MaxBackoff; i++ {
		d *= 2
	}
	return jitter(min(d, r.opts.MaxBackoff))
}
