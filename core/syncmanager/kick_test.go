package syncmanager

import (
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter sees who observes, here and elsewhere, and ends an observation.
func TestObserversAreListedAndKicked(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, near, bob, carol := a.component("alice"), a.component("near"), b.component("bob"), b.component("carol")
		for _, c := range []*component{alice, near, bob, carol} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		told := make(chan syncher.ObserverChange, 100)
		r.OnObserver(func(c syncher.ObserverChange) { told <- c })
		wantTold := func(who *component, joined bool) {
			t.Helper()
			select {
			case c := <-told:
				if c.Observer != who.url || c.Joined != joined {
					t.Fatalf("told %+v, want %s, joined %v", c, who.url, joined)
				}
			case <-time.After(time.Minute):
				t.Fatalf("not told of %s", who.url)
			}
		}
		observers := map[*component]*syncher.Observer{}
		for _, c := range []*component{near, bob, carol} {
			observers[c] = must[*syncher.Observer](t)(c.Observe(w.ctx, r.URL()))
			wantTold(c, true)
		}
		if len(r.Observers()) != 3 {
			t.Errorf("observers %v", r.Observers())
		}
		for _, c := range []*component{near, bob} {
			check(t, r.Kick(w.ctx, c.url, "enough"))
			wantTold(c, false)
			if end := next(t, observers[c]); !end.Deleted || end.End != syncher.EndKicked || end.Reason != "enough" {
				t.Errorf("%s: change %+v", c.url, end)
			}
			wantCode(t, r.Kick(w.ctx, c.url, ""), message.CodeNotFound)
		}
		check(t, r.Set(w.ctx, "n", 1))
		if c := next(t, observers[carol]); c.Version != 1 {
			t.Errorf("change %+v", c)
		}
		r.Allow(func(who message.URL) bool { return who != bob.url })
		_, err := bob.Observe(w.ctx, r.URL())
		wantCode(t, err, message.CodeForbidden)
		must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL()))
		wantTold(near, true)
		check(t, observers[carol].Close(w.ctx))
		wantTold(carol, false)
		a.sm.ComponentLost(near.url)
		wantTold(near, false)
		observers[carol] = must[*syncher.Observer](t)(carol.Observe(w.ctx, r.URL()))
		wantTold(carol, true)
		a.sm.RuntimeGone(b.url)
		wantTold(carol, false)
		if len(r.Observers()) != 0 || len(told) != 0 {
			t.Errorf("observers %v", r.Observers())
		}
		wantCode(t, r.Kick(w.ctx, "hyperty://b.example/nobody", ""), message.CodeNotFound)
	}, "a.example", "b.example")
}

// Only the reporter kicks, and only the reporter's runtime says that of its observers.
func TestNobodyElseKicks(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, eve, bob := a.component("alice"), b.component("eve"), b.component("bob")
		for _, c := range []*component{alice, eve, bob} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		ask := func(c *component, typ message.Type, to message.URL, from message.URL) {
			t.Helper()
			answer, err := c.bus.Request(w.ctx, message.Message{Type: typ, From: from, To: to,
				Body: fmt.Appendf(nil, `{"resource":%q,"subscriber":%q}`, r.URL(), bob.url)})
			if err == nil {
				_, err = answer.OK()
			}
			if err == nil {
				t.Errorf("%s from %s to %s is taken", typ, from, to)
			}
		}
		ask(eve, message.Unsubscribe, b.url.Join("sm"), eve.url)
		ask(eve, message.Delete, b.url.Join("sm"), eve.url)
		ask(eve, message.Delete, a.url.Join("sm"), eve.url)
		ask(eve, message.Unsubscribe, a.url.Join("sm"), eve.url)
		mallory := w.by["c.example"].component("mallory") // of a third runtime
		defer mallory.close()
		ask(mallory, message.Delete, b.url.Join("sm"), mallory.url)
		check(t, r.Set(w.ctx, "n", 1))
		if c := next(t, o); c.Version != 1 {
			t.Errorf("change %+v", c)
		}
	}, "a.example", "b.example", "c.example")
}
