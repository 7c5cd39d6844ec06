package core_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// until waits until a condition on the runtime holds: it is checked after each event of the core.
func (r *running) until(what string, within time.Duration, holds func() bool) {
	r.t.Helper()
	timeout := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond) // for changes outside of the core
	defer tick.Stop()
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-arrived:
		case <-tick.C:
		case <-timeout:
			s, _ := r.Status(context.Background())
			r.t.Fatalf("%s: within %v not: %s\nconnections %+v\nstubs %+v\nplug-ins %+v", r.URL(), within, what, s.Connections, s.Stubs, s.Plugins)
		}
	}
}

// status is the runtime's status.
func (r *running) status() api.Status {
	r.t.Helper()
	s, err := r.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// pid is the process ID of a plug-in; 0: it does not run.
func (r *running) pid(plugin string) int {
	r.t.Helper()
	for _, p := range r.status().Plugins {
		if p.Name == plugin && p.State == "running" {
			return p.PID
		}
	}
	return 0
}

// isLive tells whether the one connection with the other is live.
func (r *running) isLive(other *running) bool {
	c := r.connections(other)
	return len(c) == 1 && c[0].State == message.Live
}

// mutual waits until both runtimes have one live connection with each other, and checks that they agree which: one is its
// Requester, the other its Handler. It returns the requester.
func mutual(t testing.TB, a, b *running) (requester, handler *running) {
	t.Helper()
	for _, r := range [][2]*running{{a, b}, {b, a}} { // one side learns of it before the other
		r[0].until("one live connection", waitTime, func() bool { return r[0].isLive(r[1]) })
	}
	ca, cb := a.connections(b), b.connections(a)
	if len(ca) != 1 || len(cb) != 1 {
		t.Fatalf("%d connections here and %d there, want one: %+v and %+v", len(ca), len(cb), ca, cb)
	}
	if ca[0].State != message.Live || cb[0].State != message.Live || ca[0].Plugin != cb[0].Plugin {
		t.Fatalf("the two sides do not agree: %+v and %+v", ca[0], cb[0])
	}
	stubs := [2]message.URL{ca[0].Stub, cb[0].Stub}
	switch [2]bool{a.isHandler(stubs[0]), b.isHandler(stubs[1])} {
	case [2]bool{false, true}:
		requester, handler = a, b
	case [2]bool{true, false}:
		requester, handler = b, a
	default:
		t.Fatalf("no pair of a Requester and a Handler: %s and %s", stubs[0], stubs[1])
	}
	if ca[0].Door == "" || cb[0].Door == "" || !ca[0].Door.Within(stubs[0]) || !cb[0].Door.Within(stubs[1]) {
		t.Fatalf("doors %s and %s of the stubs %s and %s", ca[0].Door, cb[0].Door, stubs[0], stubs[1])
	}
	return requester, handler
}

func (r *running) isHandler(stub message.URL) bool {
	return stub.Within(r.URL().Join("p2phandler"))
}

// lookups is how many reads this runtime has made at Domain Registries.
func (r *running) lookups() int {
	return r.count(func(e trace.Event) bool {
		return e.Kind == trace.Forward && e.Type == message.Read && e.To == message.DomainRegistryAddress(e.To.NodeDomain())
	})
}

// bedsByTest are the runtimes of each running test.
type bedsByTest struct {
	mu sync.Mutex
	by map[testing.TB][]*running
}

var beds = bedsByTest{by: map[testing.TB][]*running{}}

func (b *bedsByTest) add(t testing.TB, r *running) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.by[t] = append(b.by[t], r)
}

// take returns and forgets all runtimes of a test. They must be closed at the same time: else each would wait for
// acknowledgements of those that were closed before.
func (b *bedsByTest) take(t testing.TB) []*running {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.by[t]
	delete(b.by, t)
	return list
}

// closeAll closes runtimes at the same time.
func closeAll(all []*running) {
	var wg sync.WaitGroup
	for _, r := range all {
		if r != nil {
			wg.Go(r.close)
		}
	}
	wg.Wait()
}
