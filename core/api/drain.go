package api

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/protofly/protofly/core/api/internal/handover"
)

// drainTime is how long Drain waits for the handlers of applications.
const drainTime = time.Second

// Drain is the first part of the runtime's end; Close is the last. No application is given a message any more: what waits for one is
// refused, what it has and is not done with after a moment is in doubt, and the senders are told. What it posts is refused, but for
// answers. Its hyperties are unregistered, and hear on what became of their messages. ctx bounds all that.
func (s *Server) Drain(ctx context.Context) {
	s.shared.begin()
	s.shared.mu.Lock()
	list := slices.Collect(maps.Keys(s.shared.apps))
	s.shared.mu.Unlock()
	var wg sync.WaitGroup
	for _, app := range list {
		wg.Go(func() { app.drain(ctx) })
	}
	wg.Wait()
}

// drain waits until the application has done what it has, takes back the rest, and unregisters its hyperties.
func (app *application) drain(ctx context.Context) {
	moment, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	l := app.lock()
	l.wake() // who waits for credit gives up
	l = l.await(moment, func() bool { return !app.busy() })
	var left []handover.Message
	var inner []Attachment
	for _, a := range app.attached {
		left = append(left, a.given.Recall()...)
		if a.inner != nil && !app.ended {
			inner = append(inner, a.inner)
		}
	}
	l.unlock()
	forsake(left)
	var wg sync.WaitGroup
	for _, one := range inner {
		one.Lost()
		wg.Go(func() {
			if err := one.Withdraw(ctx); err != nil {
				app.shared.log.Warn("hyperty not unregistered", "url", one.URL(), "error", err)
			}
		})
	}
	wg.Wait()
}

// busy, with the lock, tells whether the application has messages that it is not done with.
func (app *application) busy() bool {
	for _, a := range app.attached {
		if a.given.Taking() {
			return true
		}
	}
	return false
}

// await waits until done returns true, or ctx or the stream ends. While it waits the lock is not taken.
func (app locked) await(ctx context.Context, done func() bool) locked {
	for !done() && !app.ended && ctx.Err() == nil && app.ctx.Err() == nil {
		changed := app.changed
		app.waiters++
		app.unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-app.ctx.Done():
		}
		app = app.lock()
		app.waiters--
	}
	return app
}
