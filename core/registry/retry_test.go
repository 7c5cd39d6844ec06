package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestSetupThatNeverEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		a.mute = true
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(14 * time.Second)
		a.mustBe(b, message.Created, sdk.RoleRequester)
		settle(2 * time.Second)
		// the next transport at once
		if c := a.mustBe(b, message.Created, sdk.RoleRequester); c.Plugin != "beta" {
			t.Errorf("%+v", c)
		}
		first := a.requesters()
		if len(first) != 2 || !a.hasEnded(first[0].URL) {
			t.Errorf("requesters %v, ended %v", first, a.ended)
		}
		settle(15 * time.Second)
		a.mustBe(b, message.Failed, sdk.RoleRequester)
		if route, err := a.resolve(bob); err != nil || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
	})
}

func TestFailedIsRetriedWithBackoff(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		a.deployErr["alpha"], a.deployErr["beta"] = errors.New("broken"), errors.New("broken")
		bob, _ := b.hyperty("bob")
		var times []time.Duration
		start, tries := time.Now(), 0
		for time.Since(start) < 10*time.Minute {
			if _, err := a.resolve(bob); err != nil {
				t.Fatal(err)
			}
			settle(100 * time.Millisecond)
			if n := len(a.requesters()); n > tries {
				if n != tries+2 {
					t.Fatalf("%d set-ups at once, want one of each transport", n-tries)
				}
				tries = n
				times = append(times, time.Since(start))
			}
		}
		// 0, ~1, ~3, ~7, ~15, ~31, ~63 s and then once a minute
		if n := len(times); n < 12 || n > 20 {
			t.Errorf("%d tries in ten minutes: %v", n, times)
		}
		if gap := times[1] - times[0]; gap < 700*time.Millisecond || gap > 1500*time.Millisecond {
			t.Errorf("first pause %v", gap)
		}
		a.change(func() { clear(a.deployErr) })
		for range 800 { // a pause takes 75 s at most
			a.resolve(bob)
			settle(100 * time.Millisecond)
		}
		a.mustBe(b, message.Live, sdk.RoleRequester)
	})
}

func (s *side) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func TestPreferDecides(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.P2P.Prefer = []string{"gamma", "beta"} })
		b := w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(time.Second)
		if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Plugin != "beta" {
			t.Errorf("%+v", c)
		}
	})
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.P2P.Prefer = []string{"gamma"} })
		b := w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(time.Second)
		if n := len(a.requesters()); n != 0 {
			t.Errorf("%d set-ups without a common transport", n)
		}
	})
}

func TestHandlerThatRefusesTheDoor(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		b.noDoor = true
		alice, _ := a.hyperty("alice")
		bob, _ := b.hyperty("bob")
		a.say(alice, bob)
		settle(time.Second)
		b.mustBe(a, message.Failed, sdk.RoleHandler)
		if route, err := b.resolve(alice); err != nil || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
	})
}

func TestHandlersSetupTimesOut(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		told := make(chan executeBody, 1)
		b.bus.Listen(b.url.Join("p2phandler", "alpha"), func(_ context.Context, m message.Message) {
			var body executeBody
			if m.Type == message.Execute && m.Decode(&body) == nil {
				told <- body
			}
		})
		if code := b.created("alpha", a.url); code != message.CodeOK {
			t.Fatal(code)
		}
		settle(16 * time.Second)
		b.mustBe(a, message.Failed, sdk.RoleHandler)
		if body := <-told; body.Method != "disconnect" || body.Params[0] != a.url {
			t.Errorf("%+v", body)
		}
	})
}

func TestSuspect(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(nil)
		settle(10 * time.Second)
		route, _ := a.resolve(bob)
		a.reg.Suspect(b.url, "another door")
		settle(time.Millisecond)
		a.mustBe(b, message.Live, sdk.RoleRequester)
		a.reg.Suspect(b.url, route.Door)
		settle(time.Millisecond)
		if route, err := a.resolve(bob); err != nil || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
		settle(time.Second)
		a.mustBe(b, message.Live, sdk.RoleRequester)
	})
}
