package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// application makes a hyperty of an application behind the runtime's socket.
func (r *running) application(name string) *hyperty.Hyperty {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	c, err := hyperty.Dial(ctx, hyperty.Options{Socket: r.socket()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitTime)
		defer cancel()
		_ = c.Close(ctx)
	})
	h, err := c.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *running) socket() string { return r.dir + "/api.sock" }

// served gives a runtime a socket, in its data folder.
func served(c *core.Config) { c.Socket = c.DataDir + "/api.sock" }

// fill sends numbered messages of some size until one would have to wait, and returns how many it has sent.
func fill(t *testing.T, from *hyperty.Hyperty, to message.URL) int {
	t.Helper()
	pad := strings.Repeat("x", 2000)
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := from.Send(ctx, to, map[string]any{"n": n, "pad": pad})
		cancel()
		if errors.Is(err, message.ErrBackpressure) {
			if !strings.Contains(err.Error(), string(to)) {
				t.Errorf("the error does not name who is behind: %v", err)
			}
			return n - 1
		}
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		if n > 200_000 {
			t.Fatal("a receiver that takes nothing held nobody up")
		}
	}
}

// An application that takes no messages holds up senders to it and nobody else; what waits for it is bounded, and comes in
// order when it goes on.
func TestOneSlowApplicationHoldsUpNobodyElse(t *testing.T) {
	for _, place := range []string{"inside", "behind the socket"} {
		t.Run(place, func(t *testing.T) {
			node := startNode(t, "example.com")
			a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: served})
			b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: served})
			register := func(r *running, name string) *hyperty.Hyperty { return r.register(name) }
			if place != "inside" {
				register = func(r *running, name string) *hyperty.Hyperty { return r.application(name) }
			}
			alice, anna := register(a, "alice"), register(a, "anna")
			slow, fast := register(b, "slow"), register(b, "fast")
			gate := make(chan struct{})
			var taken, expected atomic.Int64
			done := make(chan string, 1) // the fault; "": all have come
			slow.Handle(func(ctx context.Context, m hyperty.Received) {
				select {
				case <-gate:
				case <-ctx.Done():
					return
				}
				var v struct{ N int64 }
				n := taken.Add(1)
				if m.Decode(&v) != nil || v.N != n {
					offer(done, fmt.Sprintf("number %d came as the %d-th", v.N, n))
				}
				if n == expected.Load() {
					offer(done, "")
				}
			})
			got := newLedger(fast)
			before := heap()
			posted := fill(t, alice, slow.URL())
			t.Logf("%d messages wait for the slow application; heap %d -> %d KiB", posted, before>>10, heap()>>10)
			if grown := int64(heap()) - int64(before); grown > 48<<20 {
				t.Errorf("the messages that wait take %d MiB", grown>>20)
			}

			// Its own sender and another one send thousands of messages to another application, in time.
			there := &sender{h: alice, to: fast.URL()}
			got.reach(t, there.send(t, 3000))
			there.h = anna
			got.reach(t, there.send(t, 3000))
			st, err := a.Status(t.Context())
			if err != nil || len(st.Sessions) != 1 || st.Sessions[0].Outstanding < 100 {
				t.Errorf("status of the sender: %+v, %v", st.Sessions, err)
			}
			if taken.Load() != 0 {
				t.Fatal("the slow application took something")
			}

			expected.Store(int64(posted))
			close(gate)
			select {
			case wrong := <-done:
				if wrong != "" {
					t.Fatal(wrong)
				}
			case <-time.After(2 * waitTime):
				t.Fatalf("%d of %d came", taken.Load(), posted)
			}
			d, err := alice.SendTracked(t.Context(), slow.URL(), message.Update, map[string]int{"n": posted + 1})
			if err != nil {
				t.Fatal(err)
			}
			if o, err := await(d); err != nil || o.State != hyperty.Delivered {
				t.Errorf("after the recovery: %v, %v", o, err)
			}
		})
	}
}

// offer puts s into c unless it is full.
func offer(c chan string, s string) {
	select {
	case c <- s:
	default:
	}
}

func await(d *hyperty.Delivery) (hyperty.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	return d.Wait(ctx)
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// A sender that asks is told the outcome of its message, in the same way inside the runtime's process and behind its socket.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	dir := shortDir(t)
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: served})
	keep := func(c *core.Config) { c.DataDir = dir; served(c) }
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: keep})
	senders := []*hyperty.Hyperty{a.register("inside"), a.application("outside")}
	here := a.register("here")
	here.Handle(func(context.Context, hyperty.Received) {})
	bob, idle := b.register("bob"), b.application("idle")
	bob.Handle(func(context.Context, hyperty.Received) {})
	release := make(chan struct{})
	idle.Handle(func(context.Context, hyperty.Received) { <-release }) // its process has what comes, and no handler has returned
	track := func(from *hyperty.Hyperty, to message.URL) *hyperty.Delivery {
		t.Helper()
		d, err := from.SendTracked(t.Context(), to, message.Update, "x")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var held []*hyperty.Delivery
	for i, from := range senders {
		held = append(held, track(from, idle.URL()))
		for _, to := range []message.URL{here.URL(), bob.URL(), from.URL()} {
			if to == from.URL() {
				from.Handle(func(context.Context, hyperty.Received) {})
			}
			if o, err := await(track(from, to)); err != nil || o.State != hyperty.Delivered {
				t.Errorf("sender %d to %s: %v, %v", i, to, o, err)
			}
		}
		for _, to := range []message.URL{"hyperty://example.com/nobody", b.URL().Join("nobody"), a.URL().Join("nobody")} {
			if o, err := await(track(from, to)); err != nil || o.State != hyperty.Refused || o.Code != message.CodeNotFound {
				t.Errorf("sender %d to %s: %v, %v", i, to, o, err)
			}
		}
		d, err := from.SendTracked(t.Context(), message.DomainRegistryAddress("example.com"), message.Read,
			map[string]any{"resource": bob.URL()})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := await(d); err != nil || o.State != hyperty.Delivered {
			t.Errorf("sender %d to the Domain Registry: %v, %v", i, o, err)
		}
	}

	for i, d := range held {
		if o := d.Outcome(); o.State != hyperty.Queued {
			t.Errorf("sender %d to an application whose handler has not returned: %v", i, o)
		}
	}
	close(release)
	for i, d := range held {
		if o, err := await(d); err != nil || o.State != hyperty.Delivered {
			t.Errorf("sender %d to an application whose handler has returned: %v, %v", i, o, err)
		}
	}

	// An application that does not take what waits for it, and goes.
	stuck := b.register("stuck")
	started := make(chan struct{})
	stuck.Handle(func(ctx context.Context, _ hyperty.Received) { close(started); <-ctx.Done() })
	var waiting []*hyperty.Delivery
	for _, from := range slices.Concat(senders, senders) {
		waiting = append(waiting, track(from, stuck.URL()))
	}
	<-started
	for _, d := range waiting {
		if o := d.Outcome(); o.State != hyperty.Queued {
			t.Errorf("to an application that takes nothing: %v", o)
		}
	}
	// And a life of the other runtime that ends while it has messages.
	if err := stuck.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, d := range waiting {
		o, err := await(d)
		if err != nil || o.State == hyperty.Queued {
			t.Errorf("to an application that has gone: %v, %v", o, err)
		}
		if o.State == hyperty.Refused && o.Code == message.CodeNotFound {
			refused++
		}
	}
	if refused < len(waiting)-1 { // one was in its handler
		t.Errorf("%d of %d were refused", refused, len(waiting))
	}
}
