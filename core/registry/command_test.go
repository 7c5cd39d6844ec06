package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// tell sends s's Registry a command and returns the code of the answer.
func (s *side) tell(from message.URL, params ...string) int {
	s.w.t.Helper()
	ctx, cancel := context.WithTimeout(s.w.ctx, time.Second)
	defer cancel()
	answer, err := s.bus.Request(ctx, message.Message{Type: message.Execute, From: from, To: s.url.Join("registry"),
		Body: message.Encode(map[string]any{"method": "use", "params": params})})
	if err != nil {
		s.w.t.Fatal(err)
	}
	var refused *message.ResponseError
	if _, err := answer.OK(); errors.As(err, &refused) {
		return refused.Code
	}
	return message.CodeOK
}

// Under the policy Commanded nothing is set up by itself, and every way is taken when it is commanded.
func TestCommanded(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Policy = Commanded })
		b := w.add("b", "example.com", func(o *Options) { o.Policy = Never })
		alice, _ := a.hyperty("alice")
		bob, _ := b.hyperty("bob")
		if code := a.tell(alice, string(b.url), "alpha"); code != message.CodeNotFound {
			t.Errorf("a runtime that was never met: %d", code)
		}
		a.say(alice, bob)
		settle(time.Minute)
		if c := a.connection(b); c.State != 0 {
			t.Fatalf("set up by itself: %+v", c)
		}
		for _, plugin := range []string{"alpha", "beta", "alpha"} {
			if code := a.tell(alice, string(b.url), plugin); code != message.CodeOK {
				t.Fatalf("%s: %d", plugin, code)
			}
			settle(time.Second)
			if c := a.mustBe(b, message.Live, sdk.RoleRequester); c.Plugin != plugin {
				t.Fatalf("over %s, %s was commanded", c.Plugin, plugin)
			}
		}
		if code := a.tell(alice, string(b.url), "relay"); code != message.CodeOK {
			t.Fatal(code)
		}
		settle(time.Minute)
		if c := a.connection(b); c.State == message.Live {
			t.Fatalf("not ended: %+v", c)
		}
		if r, err := a.resolve(bob); err != nil || r.Direct {
			t.Fatalf("%+v, %v", r, err)
		}
		if live := len(a.requesters()); live != 3 {
			t.Errorf("%d Requesters were deployed", live)
		}
		for _, d := range a.requesters() {
			if !a.hasEnded(d.URL) {
				t.Errorf("%s is left", d.URL)
			}
		}
	})
}

func TestCommandsThatAreRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, bob, _, _ := w.pair(nil)
		if code := a.tell(alice, string(b.url), "beta"); code != message.CodeForbidden {
			t.Errorf("under another policy: %d", code)
		}
		c := w.add("c", "example.com", func(o *Options) { o.Policy = Commanded })
		carol, _ := c.hyperty("carol")
		c.say(carol, bob)
		settle(time.Second)
		for _, params := range [][]string{{}, {string(b.url)}, {"nonsense", "alpha"}} {
			if code := c.tell(carol, params...); code != message.CodeBadRequest {
				t.Errorf("%q: %d", params, code)
			}
		}
		if code := c.tell(carol, string(b.url), "no-such"); code != message.CodeNotFound {
			t.Errorf("an unknown plug-in: %d", code)
		}
		if code := c.tell(bob, string(b.url), "alpha"); code != message.CodeForbidden {
			t.Errorf("in another's name: %d", code)
		}
	})
}
