package work

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// End cancels the goroutines that run, none starts after it, and Wait waits for all of them.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup()
		var left atomic.Int64
		hold := make(chan struct{})
		for range 3 {
			g.Go(func(ctx context.Context) {
				<-ctx.Done()
				<-hold
				left.Add(1)
			})
		}
		synctest.Wait()
		if g.Ended() {
			t.Error("it has ended before End")
		}
		g.End()
		g.End()
		if !g.Ended() {
			t.Error("it has not ended after End")
		}
		g.Go(func(context.Context) { t.Error("a goroutine was started after End") })
		waited := make(chan struct{})
		go func() {
			defer close(waited)
			g.Wait()
			if n := left.Load(); n != 3 {
				t.Errorf("Wait returned after %d goroutines of 3", n)
			}
		}()
		synctest.Wait()
		select {
		case <-waited:
			t.Error("Wait did not wait")
		default:
		}
		close(hold)
		<-waited
	})
}

// After Stop nothing begins, and what runs goes on until End: what it needs joins, and Wait waits for that as well.
func TestGroupStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup()
		if !g.Begin() || g.Stopped() {
			t.Error("nothing may begin before Stop")
		}
		g.Stop()
		if g.Begin() || !g.Stopped() || g.Ended() || g.Context().Err() != nil {
			t.Error("something may begin after Stop, or what runs has ended")
		}
		g.Go(func(context.Context) { t.Error("a goroutine was started after Stop") })
		g.Join() // of what began
		g.Done()
		g.End()
		waited := false
		go func() {
			g.Wait()
			waited = true
		}()
		if synctest.Wait(); waited || g.Context().Err() == nil {
			t.Error("Wait did not wait for what has joined, or the context has not ended")
		}
		g.Done()
		if synctest.Wait(); !waited {
			t.Error("Wait waits for nobody")
		}
	})
}
