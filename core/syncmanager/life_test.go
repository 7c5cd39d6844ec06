package syncmanager

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// die ends an application as kill -9 does.
func (c *component) die() {
	c.unhear()
	c.r.sm.ComponentLost(c.url)
	c.Close()
	c.bus.Close()
}

// wantNext reads the next change, which is to do that, within a time.
func wantNext(t *testing.T, o *syncher.Observer, within time.Duration, want syncher.Operation) syncher.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	c, err := o.Next(ctx)
	if err != nil || c.Operation != want || c.Deleted || c.Resync {
		t.Fatalf("change %+v, %v; want %q", c, err, want)
	}
	return c
}

// wantExpired reads the end of an object, and tells how long that took.
func wantExpired(t *testing.T, o *syncher.Observer) time.Duration {
	t.Helper()
	begin := time.Now()
	c, err := o.Next(context.Background())
	if err != nil || !c.Deleted || c.End != syncher.EndExpired {
		t.Fatalf("change %+v, %v; want the end", c, err)
	}
	return time.Since(begin)
}

// wantLeft looks what the sync managers keep of lives.
func (w *world) wantLeft(want string) {
	w.t.Helper()
	for domain, r := range w.by {
		sm := r.sm.lock()
		if len(sm.away) > 0 || len(sm.contacts) > 0 {
			w.t.Errorf("%s: %d objects are away, %d contacts", domain, len(sm.away), len(sm.contacts))
		}
		sm.unlock()
		if got := r.left(); got != want {
			w.t.Errorf("%s: %s", domain, got)
		}
	}
}

// An application is killed, and its next life has the object again: with its value and its observers, who do nothing for that.
func TestAKilledApplicationGetsItsObjectBack(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		near, bob := a.component("near"), b.component("bob")
		defer near.close()
		defer bob.close()
		wish := syncher.Object{Scheme: "comm", ID: "board", Name: "board", Data: []byte(`{"n":0}`)}
		alice := a.component("alice")
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, wish))
		if r.URL() != "comm://a.example/board" || r.Reclaimed() || !a.objects[r.URL()].Wished {
			t.Fatalf("object %s, reclaimed %v", r.URL(), r.Reclaimed())
		}
		observers := []*syncher.Observer{
			must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL())), must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL())),
		}
		for round := 1; round <= 3; round++ {
			check(t, r.Set(w.ctx, "n", round))
			died := time.Now()
			alice.die()
			for _, o := range observers {
				if c := next(t, o); c.Attribute != "n" {
					t.Fatalf("change %+v", c)
				}
				if c := wantNext(t, o, time.Second, syncher.OpAway); c.Since.Sub(died).Abs() > time.Second {
					t.Errorf("away since %v", c.Since)
				}
				if _, away := o.Away(); !away {
					t.Error("it is not away")
				}
			}
			time.Sleep(life.DefaultGrace - 5*time.Second)
			alice = a.component("alice")
			r = must[*syncher.Reporter](t)(alice.Create(w.ctx, wish))
			want := fmt.Sprintf(`{"n":%d,"m":%d}`, round, round-1)
			if round == 1 {
				want = `{"n":1}`
			}
			wantValue(t, r.Value(), want)
			if !r.Reclaimed() || r.Version() != uint64(2*round-1) || fmt.Sprint(r.Observers()) != "[hyperty://a.example/near hyperty://b.example/bob]" {
				t.Errorf("reclaimed %v, version %d, observers %v", r.Reclaimed(), r.Version(), r.Observers())
			}
			check(t, r.Set(w.ctx, "m", round))
			for _, o := range observers {
				wantNext(t, o, time.Second, syncher.OpBack)
				if c := next(t, o); c.Attribute != "m" || c.Version != r.Version() {
					t.Fatalf("change %+v", c)
				}
				wantValue(t, o.Value(), fmt.Sprintf(`{"n":%d,"m":%d}`, round, round))
				if _, away := o.Away(); away {
					t.Error("it is away")
				}
			}
		}
		check(t, r.Delete(w.ctx))
		alice.close()
		for _, o := range observers {
			if c := next(t, o); !c.Deleted || c.End != syncher.EndDeleted {
				t.Errorf("change %+v", c)
			}
		}
		time.Sleep(time.Minute)
		w.wantLeft(nothing)
	}, "a.example", "b.example")
}

// Nobody comes back: the object ends when its grace time is over, for everybody, and its address is free.
func TestAnObjectExpires(t *testing.T) {
	for _, grace := range []time.Duration{0, 10 * time.Second, time.Hour} {
		run(t, func(w *world) {
			a, b := w.by["a.example"], w.by["b.example"]
			alice, near, bob := a.component("alice"), a.component("near"), b.component("bob")
			defer near.close()
			defer bob.close()
			r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Grace: grace}))
			observers := []*syncher.Observer{
				must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL())), must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL())),
			}
			if grace == 0 {
				grace = life.DefaultGrace
			}
			died := time.Now()
			alice.die()
			for _, o := range observers {
				wantNext(t, o, time.Second, syncher.OpAway)
				if o.Metadata().Grace != grace {
					t.Errorf("grace time %v", o.Metadata().Grace)
				}
			}
			for _, o := range observers {
				wantExpired(t, o)
				if d := time.Since(died); d < grace || d > grace+time.Second {
					t.Errorf("grace %v: ended after %v", grace, d)
				}
			}
			time.Sleep(time.Minute)
			w.wantLeft(nothing)
			other := a.component("other")
			check(t, must[*syncher.Reporter](t)(other.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board"})).Delete(w.ctx))
			other.close()
		}, "a.example", "b.example")
	}
}

// What an application ends itself ends at once, unless it has asked for a grace time; one of less than nothing is none.
func TestClosingAnApplication(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		for _, c := range []struct {
			grace              time.Duration
			closed, afterDeath bool // the object is there
		}{{0, false, true}, {time.Second, true, true}, {syncher.Forever, true, true}, {-1, false, false}} {
			for _, end := range []string{"closed", "lost"} {
				alice := a.component("alice")
				must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Grace: c.grace}))
				want := c.closed
				if end == "lost" {
					want = c.afterDeath
					alice.die()
				} else {
					a.sm.ComponentGone(alice.url)
					alice.close()
				}
				time.Sleep(500 * time.Millisecond)
				again := a.component("alice")
				r := must[*syncher.Reporter](t)(again.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board"}))
				if r.Reclaimed() != want {
					t.Errorf("grace %v, %s: there %v", c.grace, end, r.Reclaimed())
				}
				check(t, r.Delete(w.ctx))
				again.close()
			}
		}
	}, "a.example")
}

// A runtime dies, and its application with it. Observers elsewhere are told that within a minute, and that the object is gone by the
// rule; nothing is left.
func TestARuntimeDies(t *testing.T) {
	for _, grace := range []time.Duration{0, 10 * time.Minute} {
		run(t, func(w *world) {
			a, b := w.by["a.example"], w.by["b.example"]
			alice, bob := a.component("alice"), b.component("bob")
			defer bob.close()
			r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Grace: grace}))
			o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
			time.Sleep(10 * time.Minute) // it runs for a while, and nothing changes
			if _, away := o.Away(); away {
				t.Fatal("it is away")
			}
			died := time.Now()
			w.losing(func(string, string, message.Message) bool { return true })
			c := wantNext(t, o, time.Minute, syncher.OpAway)
			if c.Since.After(died) || died.Sub(c.Since) > life.AskEvery {
				t.Errorf("away since %v before its death", died.Sub(c.Since))
			}
			wantExpired(t, o)
			want := max(grace, life.UnreachableTime)
			if d := time.Since(c.Since); d < want || d > want+time.Second {
				t.Errorf("grace %v: ended after %v", grace, d)
			}
			alice.close()
			a.sm.ComponentLost(alice.url)
			time.Sleep(time.Hour)
			w.wantLeft(nothing)
		}, "a.example", "b.example")
	}
}

// The network between two runtimes is away for a while: nothing is lost, and what was missed is there.
func TestTheNetworkIsAway(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		w.losing(func(string, string, message.Message) bool { return true })
		wantNext(t, o, time.Minute, syncher.OpAway)
		check(t, r.Set(w.ctx, "n", 1))
		time.Sleep(3 * time.Minute)
		w.losing(nil)
		time.Sleep(time.Minute) // until it is asked again
		if c := next(t, o); !c.Resync || c.Version != 1 {
			t.Fatalf("change %+v", c)
		}
		wantNext(t, o, time.Second, syncher.OpBack)
		check(t, r.Set(w.ctx, "n", 2))
		if c := next(t, o); c.Version != 2 {
			t.Fatalf("change %+v", c)
		}
	}, "a.example", "b.example")
}

// While its reporter is away an object is for those who observed it already, also when their own runtime has restarted.
func TestObservingAnObjectWhoseReporterIsAway(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, near, bob := a.component("alice"), a.component("near"), b.component("bob")
		defer near.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Grace: time.Hour, Data: []byte(`{"n":1}`)}))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		alice.die()
		wantNext(t, o, time.Second, syncher.OpAway)
		_, err := near.Observe(w.ctx, r.URL())
		wantCode(t, err, message.CodeUnavailable)
		_, _, err = near.Read(w.ctx, r.URL())
		wantCode(t, err, message.CodeUnavailable)
		check(t, o.Close(w.ctx)) // its application restarts
		bob.close()
		a.sm.RuntimeGone(b.url)
		bob = b.component("bob")
		defer bob.close()
		o = must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		if _, away := o.Away(); !away || o.Metadata().Away.IsZero() {
			t.Error("a new observer is not told that the reporter is away")
		}
		wantValue(t, o.Value(), `{"n":1}`)
	}, "a.example", "b.example")
}

// An object that is away is its reporter's alone; one that is there is nobody else's, either.
func TestWhoseAnObjectIs(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		alice, eve := a.component("alice"), a.component("eve")
		defer eve.close()
		wish := syncher.Object{Scheme: "comm", ID: "board"}
		must[*syncher.Reporter](t)(alice.Create(w.ctx, wish))
		for range 2 {
			_, err := eve.Create(w.ctx, wish)
			wantCode(t, err, message.CodeConflict)
			_, err = alice.Create(w.ctx, wish) // twice in one life
			wantCode(t, err, message.CodeConflict)
		}
		alice.die()
		_, err := eve.Create(w.ctx, wish)
		wantCode(t, err, message.CodeConflict)
		_, err = eve.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "taken"}) // another runtime's
		wantCode(t, err, message.CodeConflict)
		_, err = eve.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "a/b"})
		wantCode(t, err, message.CodeBadRequest)
	}, "a.example")
}
