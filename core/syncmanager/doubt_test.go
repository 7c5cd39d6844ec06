package syncmanager

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A change whose confirmation was lost is taken back at its observers by itself: no other change need follow.
func TestALostConfirmationIsPutRightByItself(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		alice.unhear() // no answer comes back
		wantCode(t, r.Set(w.ctx, "n", 1), 408)
		wantValue(t, r.Value(), `{"n":0}`)
		alice.connect()
		time.Sleep(3 * time.Second)
		wantValue(t, o.Value(), `{"n":0}`)
		if o.Version() != r.Version() {
			t.Errorf("version %d, the reporter has %d", o.Version(), r.Version())
		}
		check(t, r.Set(w.ctx, "n", 2))
		time.Sleep(time.Second)
		wantValue(t, o.Value(), `{"n":2}`)
	}, "a.example", "b.example")
}

// altered has the values of updates from a runtime be others, of as many as the test allows.
func altered(w *world, times *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alter = func(m message.Message) message.Message {
		if m.Type == message.Update && *times > 0 && strings.Contains(string(m.Body), `"attribute"`) {
			*times--
			m.Body = json.RawMessage(strings.Replace(string(m.Body), `"value":`, `"value":1`, 1))
		}
		return m
	}
}

// An observing runtime that has made another object of an update notices, and fetches the whole; nothing more need happen.
func TestACopyThatDiffersIsFetchedAnew(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		times := 1
		altered(w, &times)
		check(t, r.Set(w.ctx, "n", 5))
		if c := next(t, o); string(c.Value) != "15" || c.Version != 1 {
			t.Fatalf("change %+v", c)
		}
		if c := next(t, o); !c.Resync || string(c.Value) != `{"n":5}` || c.Version != 1 {
			t.Fatalf("change %+v", c)
		}
	}, "a.example", "b.example")
}

// A reporter's side whose updates are never what they say has its object fetched a bounded number of times a minute; its changes come
// all the same.
func TestFetchingAnewIsBounded(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		fetched := 0
		w.losing(func(from, _ string, m message.Message) bool {
			if from == "b.example" && m.Type == message.Subscribe {
				fetched++
			}
			return false
		})
		times := 1 << 20
		altered(w, &times)
		for n := range 600 {
			check(t, r.Set(w.ctx, "n", n))
			time.Sleep(500 * time.Millisecond)
		}
		w.mu.Lock()
		got := fetched
		times = 0
		w.mu.Unlock()
		if got < 5 || got > 5*12 {
			t.Errorf("the object was fetched %d times in 5 minutes", got)
		}
		time.Sleep(2 * time.Minute)
		wantValue(t, o.Value(), `{"n":599}`)
	}, "a.example", "b.example")
}

// Where the reporter's own runtime makes another object of a change, it refuses that, and is sent the whole: the change is made.
func TestTheReportersRuntimeDiffers(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		alice, near := a.component("alice"), a.component("near")
		defer alice.close()
		defer near.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL()))
		sm := a.sm.lock()
		known := sm.reported[r.URL()]
		other, err := object.Parse([]byte(`{"n":0,"other":1}`))
		check(t, err)
		check(t, known.Set(known.Metadata(), other))
		sm.unlock()
		check(t, r.Set(w.ctx, "n", 1))
		if c := next(t, o); !c.Resync || string(c.Value) != `{"n":1}` {
			t.Fatalf("change %+v", c)
		}
		if o.Version() != r.Version() {
			t.Errorf("version %d, the reporter has %d", o.Version(), r.Version())
		}
	}, "a.example")
}

// Who sends to the address of an object's updates and is not the object is told at once.
func TestNobodyPublishesPastTheReporter(t *testing.T) {
	run(t, func(w *world) {
		a, b, c := w.by["a.example"], w.by["b.example"], w.by["c.example"]
		alice, near, bob, carol := a.component("alice"), a.component("near"), b.component("bob"), c.component("carol")
		for _, c := range []*component{alice, near, bob, carol} {
			defer c.close()
		}
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		for _, who := range []*component{alice, near, bob, carol} {
			began := time.Now()
			answer := must[message.Message](t)(who.bus.Request(w.ctx, message.Message{Type: message.Update, From: who.url, To: object.Changes(r.URL()),
				Body: []byte(`{"version":1,"attribute":"n","value":7}`)}))
			_, err := answer.OK()
			wantCode(t, err, 403)
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s is answered after %v", who.url, took)
			}
		}
		wantValue(t, o.Value(), `{"n":0}`)
	}, "a.example", "b.example", "c.example")
}

// An observer that ends and comes again at once, whatever becomes of its context, gets the changes.
func TestObservedAgainAtOnce(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		for n := range 50 {
			o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
			check(t, r.Set(w.ctx, "n", n))
			if c := next(t, o); c.Version != r.Version() {
				t.Fatalf("change %+v", c)
			}
			check(t, o.Close(w.ctx))
		}
	}, "a.example", "b.example")
}
