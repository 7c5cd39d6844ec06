package session

import (
	"context"
	"testing"

	"github.com/protofly/protofly/internal/work"
)

// What is spawned runs beside its caller until the sessions end, which wait for it. Once they take nothing more it runs at once, with a
// context that has ended.
func TestSpawn(t *testing.T) {
	s := &Sessions{}
	s.life = work.NewGroup()
	ended := false
	s.spawn(func(ctx context.Context) {
		<-ctx.Done()
		ended = true
	})
	s.life.Stop()
	late := false
	s.spawn(func(ctx context.Context) { late = ctx.Err() != nil })
	if !late || s.life.Context().Err() != nil {
		t.Error("what is spawned late does not run at once, with a context of its own that has ended")
	}
	s.life.End()
	if s.life.Wait(); !ended {
		t.Error("what was spawned is not waited for")
	}
}
