package loop

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/backoff"
)

// Entries come out in the order of their times, whatever was added and cancelled between.
func TestAgendaKeepsOrder(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	var a Agenda[int]
	entries := map[int]*Entry[int]{}
	for i := range 1000 {
		entries[i] = a.Add(begin.Add(time.Duration(random.IntN(300))*time.Second), i)
	}
	for i := range 300 {
		a.Cancel(entries[i])
		a.Cancel(entries[i]) // a second time
	}
	a.Cancel(nil)
	last, seen := begin, 0
	for now := begin; ; now = now.Add(time.Second) {
		for i, ok := a.Due(now); ok; i, ok = a.Due(now) {
			if at := entries[i].at; at.Before(last) || at.After(now) || i < 300 {
				t.Fatalf("number %d of %v at %v, after %v", i, at, now, last)
			}
			last = entries[i].at
			seen++
		}
		next, ok := a.Next()
		if !ok {
			break
		}
		if !next.After(now) {
			t.Fatalf("%v is due, and was not taken at %v", next, now)
		}
	}
	if seen != 700 {
		t.Errorf("%d were due, want 700", seen)
	}
}

func TestLoopRunsTasksAndAppointments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(4)
		l.Start()
		var order []string
		begin := time.Now()
		note := func(what string) func() {
			return func() { order = append(order, what+" "+time.Since(begin).String()) }
		}
		if err := l.Ask(t.Context(), func() {
			l.After(2*time.Second, note("late"))
			l.After(time.Second, note("soon"))
			l.Cancel(l.After(time.Millisecond, note("cancelled")))
		}); err != nil {
			t.Fatal(err)
		}
		l.Go(func(ctx context.Context) {
			backoff.Sleep(ctx, 1500*time.Millisecond)
			l.Do(note("between"))
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want := []string{"soon 1s", "between 1.5s", "late 2s"}
		if len(order) != 3 || order[0] != want[0] || order[1] != want[1] || order[2] != want[2] {
			t.Errorf("%q, want %q", order, want)
		}
		l.Close()
		l.Wait()
		if err := l.Ask(t.Context(), note("never")); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		l.Go(func(context.Context) { t.Error("a goroutine was started after the end") })
	})
}

func TestTryDoDoesNotWait(t *testing.T) {
	l := New(1)
	if !l.TryDo(func() {}) || l.TryDo(func() {}) || l.Queued() != 1 {
		t.Error("a queue of one takes one task, and no second")
	}
}
