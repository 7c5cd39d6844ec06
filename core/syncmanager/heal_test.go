package syncmanager

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// What is lost on the way is fetched anew: the observer has the current value, and sees a Resync.
func TestAGapIsHealed(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		w.losing(func(_, _ string, m message.Message) bool {
			return m.Type == message.Update && strings.Contains(string(m.Body), `"version":2,`)
		})
		for n := 1; n <= 3; n++ {
			check(t, r.Set(w.ctx, "n", n))
		}
		if c := next(t, o); c.Version != 1 || c.Resync {
			t.Fatalf("change %+v", c)
		}
		if c := next(t, o); !c.Resync || c.Version != 3 {
			t.Fatalf("change %+v", c)
		}
		wantValue(t, o.Value(), `{"n":3}`)
		check(t, r.Set(w.ctx, "n", 4))
		if c := next(t, o); c.Version != 4 || c.Resync {
			t.Fatalf("change %+v", c)
		}
		// The renewal itself is lost for a while, too.
		w.losing(func(from, _ string, m message.Message) bool {
			return from == "b.example" || strings.Contains(string(m.Body), `"version":5,`)
		})
		check(t, r.Set(w.ctx, "n", 5))
		check(t, r.Set(w.ctx, "n", 6))
		time.Sleep(20 * time.Second)
		w.losing(nil)
		time.Sleep(time.Minute)
		if c := next(t, o); !c.Resync || c.Version != 6 {
			t.Fatalf("change %+v", c)
		}
	}, "a.example", "b.example")
}

func TestUpdatesBetweenSubscribeAndItsAnswer(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"list":[]}`)))
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					if err := r.Add(w.ctx, "list", n); err != nil {
						t.Error(err)
					}
				}
			}
		}()
		for range 20 {
			o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
			early := o.Version() // changes may have come since Observe has returned: they are in it, and Next returns them
			var version uint64
			for n := range 10 {
				c := next(t, o)
				if version++; n == 0 && c.Version <= early+1 {
					version = c.Version
				}
				if c.Version != version || c.Resync {
					t.Fatalf("change %+v, want version %d", c, version)
				}
			}
			var value struct{ List []int }
			check(t, json.Unmarshal(o.Value(), &value)) // no change is missing, or there twice
			for n, v := range value.List {
				if v != n {
					t.Fatalf("the list has %d at %d", v, n)
				}
			}
			check(t, o.Close(w.ctx))
		}
		close(stop)
		<-done
	}, "a.example", "b.example")
}

// The link is slow first, so that updates pile up in the reporter's runtime; then the observer is.
func TestASlowObserverGetsAResync(t *testing.T) {
	run(t, func(w *world) {
		w.pace = 5 * time.Millisecond
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		for n := range 1000 {
			check(t, r.Set(w.ctx, "n", n))
		}
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.pace = 0
		w.mu.Unlock()
		if c := next(t, o); !c.Resync || c.Version != 1000 || string(c.Value) != `{"n":999}` {
			t.Fatalf("change %+v", c)
		}
		check(t, r.Set(w.ctx, "n", -1))
		if c := next(t, o); c.Resync || c.Version != 1001 {
			t.Fatalf("change %+v", c)
		}
		for n := range 1000 {
			check(t, r.Set(w.ctx, "n", n))
		}
		time.Sleep(time.Minute)
		check(t, r.Delete(w.ctx))
		time.Sleep(time.Minute)
		if c := next(t, o); !c.Resync || c.Version != 2001 {
			t.Fatalf("change %+v", c)
		}
		wantEnd(t, o)
	}, "a.example", "b.example")
}

func TestTheReportersRuntimeComesBack(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		alice.unhear()
		a.stop()
		a.start()
		alice.connect()
		check(t, r.Set(w.ctx, "n", 1)) // this runtime did not know it, and does now
		b.sm.Refresh(a.url)
		time.Sleep(5 * time.Second)
		check(t, alice.Resume(w.ctx))
		check(t, r.Set(w.ctx, "n", 2))
		if c := next(t, o); !c.Resync {
			t.Fatalf("change %+v", c)
		}
		time.Sleep(time.Minute)
		wantValue(t, o.Value(), `{"n":2}`)
		check(t, r.Set(w.ctx, "n", 3))
		for c := next(t, o); string(c.Value) != "3"; c = next(t, o) {
			if !c.Resync && string(c.Value) != "2" {
				t.Fatalf("change %+v", c)
			}
		}
		// It comes back without the object: that is away, and gone when its grace time is over.
		alice.unhear()
		a.stop()
		a.start()
		alice.connect()
		b.sm.Refresh("")
		wantNext(t, o, time.Minute, syncher.OpAway)
		time.Sleep(time.Minute)
		wantEnd(t, o)
	}, "a.example", "b.example")
}

func TestTheObserversRuntimeComesBack(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		bob.unhear()
		b.stop()
		b.start()
		bob.connect()
		check(t, r.Set(w.ctx, "n", 1))
		check(t, bob.Resume(w.ctx))
		if c := next(t, o); !c.Resync || c.Version != 1 {
			t.Fatalf("change %+v", c)
		}
		check(t, r.Set(w.ctx, "n", 2))
		if c := next(t, o); c.Resync || c.Version != 2 {
			t.Fatalf("change %+v", c)
		}
		a.sm.RuntimeGone(b.url)
		check(t, r.Set(w.ctx, "n", 3))
		b.sm.Refresh(a.url)
		if c := next(t, o); !c.Resync || c.Version != 3 {
			t.Fatalf("change %+v", c)
		}
	}, "a.example", "b.example")
}

func TestAComponentEnds(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{}`)))
		mine := must[*syncher.Reporter](t)(bob.Create(w.ctx, obj(`{}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		_ = must[*syncher.Observer](t)(alice.Observe(w.ctx, mine.URL()))
		alice.close()
		a.sm.ComponentGone(alice.url)
		wantEnd(t, o)
		time.Sleep(time.Minute)
		if !strings.HasPrefix(b.left(), "1 reported to 0, 0 observed, 1 owners, 0 followers") || a.left() != nothing || a.registered() != 0 {
			t.Errorf("something is left: %s; %s", a.left(), b.left())
		}
		bob.close()
	}, "a.example", "b.example")
}

// The object's end comes while its value is being fetched anew, because another way to its runtime has come up. The updates that
// came before the end, and wait for that value, reach the observers first.
func TestEndWhileFetchedAnew(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		b.sm.Refresh(a.url)
		for n := 1; n <= 3; n++ {
			check(t, r.Set(w.ctx, "n", n))
		}
		check(t, r.Delete(w.ctx))
		for n := uint64(1); n <= 3; n++ {
			if c := next(t, o); c.Version != n || c.Resync || c.Deleted {
				t.Fatalf("change %+v, want version %d", c, n)
			}
		}
		if c := next(t, o); !c.Deleted {
			t.Fatalf("change %+v, want the end", c)
		}
		wantValue(t, o.Value(), `{"n":3}`)
	}, "a.example", "b.example")
}
