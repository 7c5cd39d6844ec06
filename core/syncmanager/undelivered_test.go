package syncmanager

import (
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/object/life"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// outage is a while without a network between two questions whether the reporter's runtime is there, so that it does not count as
// away. What is done meanwhile is lost, and given up.
func (w *world) outage(during func()) {
	w.losing(func(string, string, message.Message) bool { return true })
	during()
	time.Sleep(5 * time.Second)
	w.losing(nil)
}

// observed makes an object of alice at a.example that bob at b.example observes, and waits until its runtime was asked.
func (w *world) observed(grace time.Duration) (alice, bob *component, r *syncher.Reporter, o *syncher.Observer) {
	w.tells = true
	alice, bob = w.by["a.example"].component("alice"), w.by["b.example"].component("bob")
	r = must[*syncher.Reporter](w.t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Grace: grace, Data: []byte(`{"n":0}`)}))
	o = must[*syncher.Observer](w.t)(bob.Observe(w.ctx, r.URL()))
	time.Sleep(life.AskEvery + time.Second)
	return alice, bob, r, o
}

// asked waits until the reporter's runtime was asked again, and what follows has happened.
func asked() { time.Sleep(life.AskEvery + 5*time.Second) }

// The last update of an object is given up: nothing follows it, and the observer has it nevertheless, soon after it can be reached.
func TestALastUpdateThatIsGivenUp(t *testing.T) {
	run(t, func(w *world) {
		alice, bob, r, o := w.observed(0)
		defer alice.close()
		defer bob.close()
		for n := 1; n <= 3; n++ {
			w.outage(func() { check(t, r.Set(w.ctx, "n", n)) })
			asked()
			if c := next(t, o); !c.Resync || c.Version != uint64(n) {
				t.Fatalf("change %+v", c)
			}
			wantValue(t, o.Value(), fmt.Sprintf(`{"n":%d}`, n))
		}
		asked() // it says that it has heard it
		check(t, r.Set(w.ctx, "n", 4))
		if c := next(t, o); c.Version != 4 || c.Resync {
			t.Fatalf("change %+v", c)
		}
		sm := w.by["a.example"].sm.lock()
		defer sm.unlock()
		if n := sm.missed.Len(); n != 0 {
			t.Errorf("of %d runtimes it is remembered what they have missed", n)
		}
	}, "a.example", "b.example")
}

// The answer that says what was missed is lost, too, and so is what is fetched.
func TestWhatSaysThatSomethingWasMissedIsLost(t *testing.T) {
	run(t, func(w *world) {
		alice, bob, r, o := w.observed(0)
		defer alice.close()
		defer bob.close()
		w.outage(func() { check(t, r.Set(w.ctx, "n", 1)) })
		lost := 0
		w.losing(func(from, _ string, m message.Message) bool {
			if from == "a.example" && m.Type == message.Response && lost < 2 {
				lost++
				return true
			}
			return false
		})
		time.Sleep(2 * time.Minute)
		if c := next(t, o); !c.Resync || c.Version != 1 || lost != 2 {
			t.Fatalf("change %+v, %d answers were lost", c, lost)
		}
	}, "a.example", "b.example")
}

// The same for the end of an object, whose address the reporter's runtime does not know any more, and for what is said of its reporter.
func TestAnEndThatIsGivenUp(t *testing.T) {
	run(t, func(w *world) {
		alice, bob, r, o := w.observed(time.Second)
		defer alice.close()
		defer bob.close()
		w.outage(func() { check(t, r.Delete(w.ctx)) })
		asked()
		for {
			c := next(t, o)
			if c.Operation == syncher.OpAway { // as long as nobody says that it is gone for good
				continue
			}
			if !c.Deleted || c.End != syncher.EndDeleted {
				t.Fatalf("change %+v", c)
			}
			break
		}
	}, "a.example", "b.example")
}

func TestANoticeThatIsGivenUp(t *testing.T) {
	run(t, func(w *world) {
		alice, bob, _, o := w.observed(time.Hour)
		defer bob.close()
		var died time.Time
		w.outage(func() {
			died = time.Now()
			alice.die()
		})
		asked()
		if c := wantNext(t, o, time.Second, syncher.OpAway); c.Since.Sub(died).Abs() > time.Second {
			t.Errorf("away since %v", c.Since)
		}
		w.outage(func() {
			alice = w.by["a.example"].component("alice")
			if r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board"})); !r.Reclaimed() {
				t.Error("the object is another one")
			}
		})
		defer alice.close()
		asked()
		wantNext(t, o, time.Second, syncher.OpBack)
	}, "a.example", "b.example")
}

// A remote runtime that asks is told of nothing but what it has missed itself, and not for ever.
func TestWhatWasMissedIsForgotten(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		for n := range 100 {
			a.sm.Undelivered(message.URL(fmt.Sprintf("hyperty-runtime://b.example/%d", n)), []message.Message{
				{Type: message.Update, From: "comm://a.example/o", To: "comm://a.example/o/changes"},
				{Type: message.Update, From: a.url + "/registry", To: a.url + "/registry/changes"},
				{Type: message.Response, From: "comm://a.example/p/subscription", To: "hyperty-runtime://b.example/r/sm"},
				{Type: message.Update, From: "connection://a.example/q", To: "connection://a.example/q/changes"},
				{Type: message.Update, From: "hyperty://a.example/alice", To: "hyperty://b.example/bob"},
			})
		}
		missed := func() (n int) {
			sm := a.sm.lock()
			defer sm.unlock()
			return sm.missed.Len()
		}
		if n := missed(); n != 100 {
			t.Errorf("%d runtimes have missed something", n)
		}
		a.sm.RuntimeGone("hyperty-runtime://b.example/7")
		if n := missed(); n != 99 {
			t.Errorf("%d runtimes have missed something", n)
		}
		time.Sleep(3 * time.Hour)
		if n := missed(); n != 0 {
			t.Errorf("%d runtimes have missed something", n)
		}
	}, "a.example")
}
