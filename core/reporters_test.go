package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// The signals that stop a process and let it go on have no names in syscall on every system; these are Linux's numbers.
const (
	stopped   = syscall.Signal(19)
	continued = syscall.Signal(18)
)

// An application that reports an object closes, or is killed, and does not come back. Observers, here and elsewhere, are told at once that
// the reporter is away, and when the grace time is over that the object is gone. Without a grace time it is gone at once.
func TestReportersThatGo(t *testing.T) {
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
	near, far, inside := a.application("near"), b.application("far"), b.register("inside")
	for _, c := range []struct {
		what  string
		grace time.Duration
		kill  bool
	}{{"killed", 3 * time.Second, true}, {"closed", 3 * time.Second, false}, {"closed without a grace time", 0, false}} {
		t.Run(c.what, func(t *testing.T) {
			object := syncher.Object{Scheme: "comm", ID: "board", Grace: c.grace, Data: json.RawMessage(`{"n":0}`)}
			var end func()
			if c.kill {
				end = startReporter(t, a.socket(), object).kill
			} else {
				alice := a.application("alice")
				if _, err := alice.Objects().Create(t.Context(), object); err != nil {
					t.Fatal(err)
				}
				end = func() { _ = alice.Close(t.Context()) }
			}
			var observers []replica
			for _, h := range []*syncher.Syncher{near.Objects(), far.Objects(), inside.Objects()} {
				o, err := h.Observe(t.Context(), "comm://example.com/board")
				if err != nil {
					t.Fatal(err)
				}
				observers = append(observers, replica{t, o})
			}
			died := time.Now()
			end()
			want := syncher.EndDeleted
			if c.grace > 0 {
				want = syncher.EndExpired
				for _, o := range observers {
					o.want("the reporter is away", c.grace, isAway)
				}
			}
			for _, o := range observers {
				gone := o.want("the end", waitTime, func(c syncher.Change) bool { return c.Deleted })
				if took := time.Since(died); gone.End != want || took < c.grace {
					t.Errorf("the end %q after %v", gone.End, took)
				}
			}
		})
	}
}

// The runtime of a reporter, or that of an observer, is killed or ended, and comes back; the applications live on. The observer has the
// changes of before and of after, and nobody subscribes again.
func TestTheRuntimesOfAnObject(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for _, whose := range []string{"reporter's", "observer's"} {
			t.Run(whose+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				node := startNode(t, "example.com")
				stays := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
				dir := shortDir(t)
				p := startProcess(t, dir, node, "plugins: {use: []}")
				var alice, bob *hyperty.Hyperty
				if whose == "reporter's" {
					alice, bob = dialHyperty(t, p.socket, "alice"), stays.application("bob")
				} else {
					alice, bob = stays.application("alice"), dialHyperty(t, p.socket, "bob")
				}
				r, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", ID: "board", Data: json.RawMessage(`{"n":0}`)})
				if err != nil {
					t.Fatal(err)
				}
				o := observe(t, bob, r.URL())
				for n := 1; n <= 3; n++ {
					if err := r.Set(t.Context(), "n", n); err != nil {
						t.Fatal(err)
					}
					o.until(n)
					p.end(sig)
					set := make(chan error, 1)
					go func() {
						err := r.Set(t.Context(), "m", n)
						if refused := (*message.ResponseError)(nil); errors.As(err, &refused) && refused.Code == message.CodeUnavailable {
							err = r.Set(t.Context(), "m", n) // the first one was under way when the connection broke
						}
						set <- err
					}()
					p = startProcess(t, dir, node, "plugins: {use: []}")
					if err := <-set; err != nil {
						t.Errorf("a change meanwhile: %v", err)
					}
					back := time.Now()
					o.want("the change of meanwhile", waitTime, func(syncher.Change) bool {
						var v struct{ M int }
						return json.Unmarshal(o.Value(), &v) == nil && v.M == n
					})
					t.Logf("the observer has the change %v after the return", time.Since(back))
				}
				p.end(syscall.SIGTERM)
			})
		}
	}
}

// A reporter hears of each observer that comes and goes: that ends its observation, that closes, is killed, or is removed.
func TestTheReporterHearsOfItsObservers(t *testing.T) {
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
	r, err := a.application("alice").Objects().Create(t.Context(), syncher.Object{Scheme: "comm", ID: "board"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan syncher.ObserverChange, 16)
	r.OnObserver(func(c syncher.ObserverChange) { told <- c })
	hears := func(name string, joined bool) {
		t.Helper()
		select {
		case c := <-told:
			if c.Joined != joined || string(c.Observer) != "hyperty://example.com/"+name {
				t.Errorf("told %+v, want %s %v", c, name, joined)
			}
		case <-time.After(waitTime):
			t.Fatalf("not told of %s", name)
		}
	}
	for _, where := range []*running{a, b} {
		bob := where.application("bob")
		o := observe(t, bob, r.URL())
		hears("bob", true)
		if err := o.Close(t.Context()); err != nil {
			t.Error(err)
		}
		hears("bob", false)
		o = observe(t, bob, r.URL())
		hears("bob", true)
		if err := r.Kick(t.Context(), bob.URL(), "go"); err != nil {
			t.Error(err)
		}
		hears("bob", false)
		if end := o.want("the end", waitTime, func(c syncher.Change) bool { return c.Deleted }); end.End != syncher.EndKicked || end.Reason != "go" {
			t.Errorf("the end %+v", end)
		}
		observe(t, bob, r.URL())
		hears("bob", true)
		if err := bob.Release(t.Context()); err != nil {
			t.Error(err)
		}
		hears("bob", false)
		kill := startApplication(t, "observe", where.socket(), "carol", string(r.URL()))
		hears("carol", true)
		kill()
		hears("carol", false)
		carol := where.application("carol")
		if err := carol.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if list := r.Observers(); len(list) > 0 {
		t.Errorf("observers %v", list)
	}
}

// The network between two runtimes is away for so long that messages end: the Message Node, which is the only way, is stopped and goes
// on. Observers are told that the reporter is away, and that it is back, and have what they have missed.
func TestLongTheNetworkIsAway(t *testing.T) {
	longtest.Skip(t)
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
	alice, bob := a.application("alice"), b.application("bob")
	r, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", ID: "board", Grace: time.Hour, Data: json.RawMessage(`{"n":0}`)})
	if err != nil {
		t.Fatal(err)
	}
	o := observe(t, bob, r.URL())
	got := newGated()
	close(got.gate)
	bob.Handle(got.take)
	if n := mail(t, alice, bob.URL(), 1).check(t, a); n != 1 {
		t.Fatal("not delivered")
	}
	signal := func(sig os.Signal) {
		t.Helper()
		if err := node.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(stopped)
	defer signal(continued)
	began := time.Now()
	list := tracks(t, alice, bob.URL(), 10)
	if err := r.Set(t.Context(), "n", 1); err != nil {
		t.Errorf("a change: %v", err)
	}
	o.want("the reporter is away", 90*time.Second, isAway)
	t.Logf("told after %v", time.Since(began))
	for _, d := range list {
		if s, err := d.Wait(t.Context()); err != nil || s.State != hyperty.Expired {
			t.Errorf("%v, %v", s, err)
		}
	}
	t.Logf("expired after %v", time.Since(began))
	signal(continued)
	back := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o.want("the reporter is back", 2*time.Minute, func(c syncher.Change) bool { return c.Operation == syncher.OpBack })
	o.until(1)
	again := mail(t, alice, bob.URL(), 10)
	for _, d := range again.list {
		if s, err := d.Wait(ctx); err != nil || s.Err() != nil {
			t.Errorf("%v, %v", s, err)
		}
	}
	t.Logf("back after %v", time.Since(back))
	got.judge(t, list)
}
