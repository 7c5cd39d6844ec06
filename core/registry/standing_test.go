package registry

import (
	"context"
	"testing"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

// A Standing is valid until something that it depends on changes, and no other change ends it.
func TestStanding(t *testing.T) {
	const me message.URL = "hyperty://example.com/me"
	to, runtime := someone(0), message.URL("hyperty-runtime://example.com/r0")
	type world struct {
		*Registry
		rt, other *directory.Runtime
	}
	own := func(w *world) { w.locals.known.Set(me, &local{url: me, private: true}) }
	broken := func(rt *directory.Runtime) {
		rt.SetWay(&directory.Way{Number: rt.Way().Number, State: message.Disconnected, Wake: true})
	}
	for name, what := range map[string]struct {
		to    message.URL
		do    func(w *world)
		holds bool // afterwards
		again bool // there is a new one afterwards
	}{
		"nothing":                                {to, func(*world) {}, true, true},
		"another address is learned":             {to, func(w *world) { w.learn(w.other, someone(12345), directory.Listed) }, true, true},
		"the address is learned again":           {to, func(w *world) { w.learn(w.rt, to, directory.Registered) }, true, true},
		"somebody else claims the address":       {to, func(w *world) { w.learn(w.other, to, directory.Listed) }, true, true},
		"the address moves":                      {to, func(w *world) { w.learn(w.other, to, directory.Registered) }, false, true},
		"the address is forgotten":               {to, func(w *world) { w.directory.Forget(to) }, false, false},
		"the address becomes this runtime's":     {to, func(w *world) { w.directory.Forget(to); w.locals.known.Set(to, &local{url: to, private: true}) }, false, false},
		"the connection breaks":                  {to, func(w *world) { broken(w.rt) }, false, false},
		"the connection has a successor":         {to, func(w *world) { moved := *w.rt.Way(); moved.Direct.Door += "/2"; w.rt.SetWay(&moved) }, false, true},
		"another runtime's connection breaks":    {to, func(w *world) { broken(w.other) }, true, true},
		"the owner goes":                         {to, func(w *world) { w.dropLocal(&local{url: me}) }, false, false},
		"the owner goes and comes back":          {to, func(w *world) { w.dropLocal(&local{url: me}); own(w) }, false, true},
		"a component's runtime: nothing":         {runtime.Join("sm"), func(*world) {}, true, true},
		"a component's runtime: the other moves": {runtime.Join("sm"), func(w *world) { broken(w.rt) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{Registry: crowd(t, 2*perRuntime, true)}
			var before, after Standing
			var ok, again bool
			err := w.ask(context.Background(), func() {
				w.rt, _ = w.directory.Runtime(runtime)
				w.other, _ = w.directory.Runtime("hyperty-runtime://example.com/r1")
				own(w)
				if before, ok = w.Standing(me, what.to); !ok {
					return
				}
				if want, err := w.Resolve(context.Background(), message.Message{To: what.to}); err != nil || before.Route() != want {
					t.Errorf("says %+v, Resolve %+v, %v", before.Route(), want, err)
				}
				what.do(w)
				if before.Holds() != what.holds {
					t.Errorf("holds: %v", before.Holds())
				}
				after, again = w.Standing(me, what.to)
			})
			if err != nil || !ok {
				t.Fatal("it does not stand", err)
			}
			if again != what.again {
				t.Fatalf("stands afterwards: %v", again)
			}
			if !again {
				return
			}
			if want, err := w.Resolve(context.Background(), message.Message{To: what.to}); err != nil || after.Route() != want {
				t.Errorf("says %+v afterwards, Resolve %+v, %v", after.Route(), want, err)
			}
		})
	}
}

func TestStandingIsForLiveConnections(t *testing.T) {
	r := crowd(t, 10, false)
	_ = r.ask(context.Background(), func() {
		r.locals.known.Set("hyperty://example.com/me", &local{url: "hyperty://example.com/me", private: true})
	})
	for _, to := range []message.URL{someone(0), someone(10), "hyperty-runtime://example.com/r0/sm", "hyperty-runtime://example.com/r9", "domain://registry.example.com"} {
		if s, ok := r.Standing("hyperty://example.com/me", to); ok {
			t.Errorf("%s: %+v", to, s.Route())
		}
	}
	live := crowd(t, 10, true)
	if s, ok := live.Standing("hyperty://example.com/nobody", someone(0)); ok {
		t.Errorf("for an owner that is not registered: %+v", s.Route())
	}
}
