// Package loop is a goroutine that owns a state, and the goroutines that work for it.
//
// Everything that happens comes to the loop as a task, a function that it calls. A task changes the state and does not wait;
// what may wait runs in a goroutine of its own, see [Loop.Go], whose result is the next task.
package loop

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed is the error of calls to a loop that has ended.
var ErrClosed = errors.New("registry: closed")

// Loop runs tasks one after the other. Make it with [New].
type Loop struct {
	ctx    context.Context // ends with the loop
	end    context.CancelFunc
	tasks  chan func()
	agenda Agenda[func()] // only the loop uses it

	wait   sync.WaitGroup
	life   sync.Mutex
	closed bool // guarded by life; then no goroutine is started any more
}

// Appointment is a task for later.
type Appointment = Entry[func()]

// New makes a loop whose queue has room for so many tasks. It does nothing until it is started.
func New(queue int) *Loop {
	l := &Loop{tasks: make(chan func(), queue)}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// Start starts the loop.
func (l *Loop) Start() { l.wait.Go(l.run) }

func (l *Loop) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if next, ok := l.agenda.Next(); ok {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-l.ctx.Done():
			return
		case task := <-l.tasks:
			task()
		case <-due:
			now := time.Now()
			for task, ok := l.agenda.Due(now); ok; task, ok = l.agenda.Due(now) {
				task()
			}
		}
	}
}

// Do queues a task. It blocks while the queue is full; false: the loop has ended. It must not be called in the loop.
func (l *Loop) Do(task func()) bool {
	select {
	case l.tasks <- task:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// TryDo queues a task where there is room. It does not wait.
func (l *Loop) TryDo(task func()) bool {
	select {
	case l.tasks <- task:
		return true
	default:
		return false
	}
}

// Ask has the loop run task and waits for it. After an error the task may still run: what it writes must not be read then.
// Ask must not be called in the loop.
func (l *Loop) Ask(ctx context.Context, task func()) error {
	done := make(chan struct{})
	select {
	case l.tasks <- func() { task(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		return ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-l.ctx.Done():
		return ErrClosed
	}
}

// Queued is how many tasks wait.
func (l *Loop) Queued() int { return len(l.tasks) }

// At has a task run at a time. It is called in the loop.
func (l *Loop) At(t time.Time, task func()) *Appointment { return l.agenda.Add(t, task) }

// After has a task run when d is over. It is called in the loop.
func (l *Loop) After(d time.Duration, task func()) *Appointment { return l.At(time.Now().Add(d), task) }

// Cancel drops an appointment; nil, or one that was due, is fine. It is called in the loop.
func (l *Loop) Cancel(a *Appointment) { l.agenda.Cancel(a) }

// Go runs f in a goroutine that Wait waits for; its context ends with the loop. After Close it does nothing.
func (l *Loop) Go(f func(ctx context.Context)) {
	l.life.Lock()
	defer l.life.Unlock()
	if l.closed {
		return
	}
	l.wait.Go(func() { f(l.ctx) })
}

// Context ends with the loop.
func (l *Loop) Context() context.Context { return l.ctx }

// Closed tells whether Close has been called.
func (l *Loop) Closed() bool {
	l.life.Lock()
	defer l.life.Unlock()
	return l.closed
}

// Close ends the loop and the context of its goroutines. It does not wait for them.
func (l *Loop) Close() {
	l.life.Lock()
	l.closed = true
	l.life.Unlock()
	l.end()
}

// Wait returns when the loop and its goroutines have ended.
func (l *Loop) Wait() { l.wait.Wait() }
