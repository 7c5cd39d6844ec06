package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleWithinBounds(t *testing.T) {
	for _, c := range []struct {
		b           Backoff
		first, last time.Duration
	}{
		{Backoff{}, 100 * time.Millisecond, 30 * time.Second},
		{Backoff{Min: time.Second, Max: 3 * time.Second}, time.Second, 3 * time.Second},
		{Backoff{Min: time.Minute, Max: time.Second}, time.Second, time.Second},
		{Backoff{Min: 1, Max: 1 << 62}, 1, 1 << 62},
	} {
		for range 2 {
			bound := c.first
			for n := range 100 {
				if d := c.b.Next(); d < bound/2 || d > bound {
					t.Fatalf("%+v: pause %d is %v, want %v to %v", c.b, n, d, bound/2, bound)
				}
				if bound = 2 * bound; bound > c.last || bound < 0 {
					bound = c.last
				}
			}
			c.b.Reset()
		}
	}
}

func TestPausesDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[(&Backoff{Min: time.Hour, Max: time.Hour}).Next()] = true
	}
	if len(seen) < 50 {
		t.Errorf("of 100 who fail together only %d pause differently", len(seen))
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Backoff{Min: time.Second}
		began := time.Now()
		if !b.Wait(t.Context()) || time.Since(began) < time.Second/2 || time.Since(began) > time.Second {
			t.Errorf("waited for %v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if began = time.Now(); b.Wait(ctx) || time.Since(began) != time.Millisecond {
			t.Errorf("waited for %v after the end", time.Since(began))
		}
	})
}

// A client that counts its failures itself gets the same bounds, after any number of them.
func TestBound(t *testing.T) {
	b := Backoff{Min: time.Second, Max: time.Minute}
	for n, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1 << 40: time.Minute,
	} {
		if got := b.Bound(n); got != want {
			t.Errorf("after %d failures: %v, want %v", n, got, want)
		}
	}
	if got := (&Backoff{Min: time.Minute, Max: time.Second}).Bound(1); got != time.Second {
		t.Errorf("the longest pause is shorter than the first: %v", got)
	}
	for range 100 {
		if d := Around(4 * time.Second); d < 3*time.Second || d > 5*time.Second {
			t.Fatalf("around 4 s: %v", d)
		}
	}
}
