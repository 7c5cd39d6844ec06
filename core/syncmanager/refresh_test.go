package syncmanager

import (
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter's runtime is restarted while a runtime of two observers fetches the object anew, for which one of them is enough.
// Afterwards the reporter's side knows both.
func TestAllObserversAreKnownAgain(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob, bea := a.component("alice"), b.component("bob"), b.component("bea")
		for _, c := range []*component{alice, bob, bea} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, room("chat")))
		observers := []*syncher.Observer{must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL())), must[*syncher.Observer](t)(bea.Observe(w.ctx, r.URL()))}
		w.losing(func(from, _ string, m message.Message) bool {
			return from == "b.example" || strings.Contains(string(m.Body), `"version":1,`)
		})
		check(t, r.Set(w.ctx, "n", 1))
		check(t, r.Set(w.ctx, "n", 2)) // is not the next one: the object is fetched anew, which nobody answers
		time.Sleep(time.Second)
		alice.unhear()
		a.stop()
		a.start()
		alice.connect()
		check(t, alice.Resume(w.ctx))
		w.losing(nil)
		b.sm.Refresh(a.url)
		time.Sleep(5 * time.Minute)
		for n, o := range observers {
			if _, err := o.AddChild(w.ctx, "chat", n); err != nil {
				t.Errorf("observer %d is not known: %v", n, err)
			}
		}
	}, "a.example", "b.example")
}
