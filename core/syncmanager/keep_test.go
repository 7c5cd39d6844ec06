package syncmanager

import (
	"os"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A runtime is killed. What it keeps is there again, with its value and its observers; whatever comes back first.
func TestAKeptObjectOutlivesItsRuntime(t *testing.T) {
	for _, first := range []string{"the reporter", "the observers"} {
		run(t, func(w *world) {
			a, b := w.by["a.example"], w.by["b.example"]
			a.stop()
			a.folder = t.TempDir()
			a.start()
			alice, bob := a.component("alice"), b.component("bob")
			defer bob.close()
			wish := syncher.Object{Scheme: "comm", ID: "board", Keep: true, Data: []byte(`{"n":0}`)}
			r := must[*syncher.Reporter](t)(alice.Create(w.ctx, wish))
			o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
			for n := 1; n <= 10; n++ {
				check(t, r.Set(w.ctx, "n", n))
				if c := next(t, o); c.Version != uint64(n) {
					t.Fatalf("change %+v", c)
				}
			}
			time.Sleep(2 * noteTime)
			alice.close()
			a.stop()
			time.Sleep(2 * time.Minute)
			wantNext(t, o, time.Second, syncher.OpAway)
			a.start()
			if first == "the observers" {
				time.Sleep(2 * time.Minute)
			}
			alice = a.component("alice")
			defer alice.close()
			r = must[*syncher.Reporter](t)(alice.Create(w.ctx, wish))
			if !r.Reclaimed() || r.Version() != 10 {
				t.Fatalf("%s first: reclaimed %v, version %d", first, r.Reclaimed(), r.Version())
			}
			wantValue(t, r.Value(), `{"n":10}`)
			time.Sleep(2 * time.Minute)
			check(t, r.Set(w.ctx, "n", 11))
			for {
				if c := next(t, o); c.Version == 11 {
					break
				}
			}
			if _, away := o.Away(); away {
				t.Error("it is away")
			}
			wantValue(t, o.Value(), `{"n":11}`)
			check(t, r.Delete(w.ctx))
			if files, err := os.ReadDir(a.folder); err != nil || len(files) > 0 {
				t.Errorf("%d files are left, %v", len(files), err)
			}
		}, "a.example", "b.example")
	}
}

// The disk takes nothing: the reporter is told, its object stays as it was, for observers too, and others go on.
func TestTheDiskIsFull(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		a.stop()
		a.folder = t.TempDir() + "/objects"
		a.start()
		alice, near := a.component("alice"), a.component("near")
		defer alice.close()
		defer near.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "board", Keep: true, Data: []byte(`{"n":0}`)}))
		other := must[*syncher.Reporter](t)(alice.Create(w.ctx, obj(`{"n":0}`)))
		o := must[*syncher.Observer](t)(near.Observe(w.ctx, r.URL()))
		check(t, os.Rename(a.folder, a.folder+"-away"))
		wantCode(t, r.Set(w.ctx, "n", 1), message.CodeError)
		_, err := alice.Create(w.ctx, syncher.Object{Scheme: "comm", ID: "another", Keep: true})
		wantCode(t, err, message.CodeError)
		check(t, other.Set(w.ctx, "n", 1))
		wantValue(t, r.Value(), `{"n":0}`)
		wantValue(t, o.Value(), `{"n":0}`)
		check(t, os.Rename(a.folder+"-away", a.folder))
		check(t, r.Set(w.ctx, "n", 2))
		if c := next(t, o); c.Version != 1 || string(c.Value) != "2" {
			t.Fatalf("change %+v", c)
		}
		if n := a.registered(); n != 2 {
			t.Errorf("%d objects are registered", n)
		}
	}, "a.example")
}
