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
