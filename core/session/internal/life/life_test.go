package life

import (
	"context"
	"testing"
)

func TestLifeWaitsForWhatHasBegun(t *testing.T) {
	l := New()
	ended := 0
	count := func(ctx context.Context) {
		<-ctx.Done()
		ended++
	}
	l.Spawn(count)
	l.End()
	if ended != 1 {
		t.Errorf("%d goroutines have ended when End returns, not 1", ended)
	}
}

func TestLifeBeginsNothingAfterStop(t *testing.T) {
	l := New()
	if !l.Begin() || l.Stopped() {
		t.Error("nothing may begin before Stop")
	}
	l.Done()
	l.Stop()
	if l.Begin() || !l.Stopped() {
		t.Error("something may begin after Stop")
	}
	ran := false
	l.Spawn(func(ctx context.Context) { ran = ctx.Err() != nil })
	if !ran {
		t.Error("what is spawned after Stop does not run at once, with a context that has ended")
	}
	if l.Context().Err() != nil {
		t.Error("the context has ended with Stop: what still runs needs it")
	}
	l.End()
	if l.Context().Err() == nil {
		t.Error("the context has not ended with End")
	}
}
