package admission

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	alice message.URL = "hyperty-runtime://example.com/alice"
	bob   message.URL = "hyperty-runtime://example.com/bob"
	carol message.URL = "hyperty-runtime://example.com/carol"
)

// at enters in the background and returns when, counted from the beginning; -1: never.
func at(ctx context.Context, g *Gate, who message.URL, stay time.Duration, wait *sync.WaitGroup) *time.Duration {
	begin, in := time.Now(), time.Duration(-1)
	wait.Go(func() {
		leave, err := g.Enter(ctx, who)
		if err != nil {
			return
		}
		in = time.Since(begin)
		time.Sleep(stay)
		leave()
	})
	return &in
}

func TestOneNameWaitsAndOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Each: 1, All: make(chan struct{}, 2)}
		var wait sync.WaitGroup
		ctx := t.Context()
		first := at(ctx, g, alice, time.Second, &wait)
		synctest.Wait()
		second := at(ctx, g, alice, time.Second, &wait)
		other := at(ctx, g, bob, 3*time.Second, &wait)
		synctest.Wait()
		full := at(ctx, g, carol, time.Second, &wait) // when the first place of all is free
		wait.Wait()
		if *first != 0 || *other != 0 || *second < time.Second || *full < time.Second {
			t.Errorf("in after %v, %v, %v and %v", *first, *second, *other, *full)
		}
		if len(g.by) != 0 {
			t.Errorf("%d names are kept", len(g.by))
		}
	})
}

func TestWhoGivesUpLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, g := range []*Gate{
			{Each: 1},
			{Each: 2, All: make(chan struct{}, 1)},
			{Each: 2, Pace: NewPace(Rate{1, 1}, Rate{100, 100})},
		} {
			leave, err := g.Enter(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if _, err := g.Enter(short, alice); err == nil {
				t.Fatal("it is let in")
			}
			cancel()
			if _, err := g.Enter(short, bob); err == nil {
				t.Fatalf("it is let in after the end: %v", err)
			}
			leave()
			if len(g.by) != 0 || len(g.All) != 0 {
				t.Errorf("%d names and %d places are left", len(g.by), len(g.All))
			}
		}
	})
}

func TestPaceOfOneAndOfAll(t *testing.T) {
	p := NewPace(Rate{2, 3}, Rate{4, 5})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	count := func(who message.URL, at time.Time) (n int) {
		for p.Allow(at, who) {
			n++
		}
		return n
	}
	if n := count(alice, now); n != 3 {
		t.Errorf("%d of one at once, want 3", n)
	}
	if n := count(bob, now); n != 2 && p.of(alice) != p.of(bob) {
		t.Errorf("%d of the other one, want the 2 that are left of all", n)
	}
	if n := count(alice, now.Add(time.Second)); n != 2 {
		t.Errorf("%d a second later, want 2", n)
	}
	if nobody := (*Pace)(nil); !nobody.Allow(now, alice) || nobody.Wait(t.Context(), alice) != nil {
		t.Error("no pace is a limit")
	}
}

func TestTheZeroGateLetsEverybodyIn(t *testing.T) {
	var g Gate
	for range 100 {
		if _, err := g.Enter(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
	}
}
