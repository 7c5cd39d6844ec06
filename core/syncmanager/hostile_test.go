package syncmanager

import (
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// stuck has nothing more arrive at a runtime of what this one sends there, as by a peer that takes nothing.
func (r *runtime) stuck(domain string) { r.out[domain] = make(chan flight) }

// takes tells whether a call returns within a time.
func takes(t *testing.T, what string, most time.Duration, f func() error) {
	t.Helper()
	began := time.Now()
	err := f()
	if took := time.Since(began); err != nil || took > most {
		t.Errorf("%s: %v after %v", what, err, took)
	}
}

// A runtime that reads objects and takes none of the answers, with as many addresses as it likes, keeps nobody from what is
// their own, here and elsewhere.
func TestReadsOfOneRuntimeKeepNobodyOut(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm"}))
		a.stuck("m.example")
		flood(a, r.URL(), 9, 4096)
		takes(t, "create", time.Second, func() error {
			_, err := alice.Create(w.ctx, syncher.Object{Scheme: "comm"})
			return err
		})
		takes(t, "observe", time.Second, func() error {
			_, err := bob.Observe(w.ctx, r.URL())
			return err
		})
	}, "a.example", "b.example", "m.example")
}

// Answers with large objects that a runtime does not take are not made.
func TestReadsOfOneRuntimeTakeLittleMemory(t *testing.T) {
	run(t, func(w *world) {
		a := w.by["a.example"]
		alice := a.component("alice")
		defer alice.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", Data: json.RawMessage(fmt.Sprintf(`{"text":"%0400000d"}`, 7))}))
		a.stuck("m.example")
		before := heap()
		flood(a, r.URL(), 2, 200)
		if grown := heap() - before; grown > 16<<20 {
			t.Errorf("%d MiB for 400 reads", grown>>20)
		}
	}, "a.example", "m.example")
}

// flood has a runtime read an object from many addresses of its own.
func flood(at *runtime, object message.URL, addresses, reads int) {
	for n := range addresses * reads {
		at.bus.Arrive(at.w.ctx, "hyperty-runtime://m.example/r", "", message.Message{
			ID: message.NumberID(uint64(n + 1)), Type: message.Read, From: message.URL(fmt.Sprintf("hyperty://m.example/h%d", n%addresses)), To: object})
	}
	synctest.Wait()
}

func heap() int64 {
	goruntime.GC()
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// An observer that takes nothing more holds up no other one.
func TestStuckObserverHoldsUpNobody(t *testing.T) {
	run(t, func(w *world) {
		a, b, m := w.by["a.example"], w.by["b.example"], w.by["m.example"]
		alice, bob, mallory := a.component("alice"), b.component("bob"), m.component("mallory")
		defer alice.close()
		defer bob.close()
		defer mallory.close()
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm", Data: []byte(`{"n":0}`)}))
		must[*syncher.Observer](t)(mallory.Observe(w.ctx, r.URL()))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, r.URL()))
		a.stuck("m.example")
		for n := range 2000 {
			check(t, r.Set(w.ctx, "n", n+1))
		}
		time.Sleep(2 * time.Second)
		wantValue(t, o.Value(), `{"n":2000}`)
	}, "a.example", "b.example", "m.example")
}

// An object names a component of its own runtime as its reporter, or is not observed.
func TestReporterIsOfTheObjectsRuntime(t *testing.T) {
	run(t, func(w *world) {
		a, m := w.by["a.example"], w.by["m.example"]
		a.sm.o.Verify = func(_ context.Context, remote, component message.URL) error {
			if remote.Domain() != component.Domain() {
				return &message.ResponseError{Code: message.CodeForbidden, Description: "another's"}
			}
			return nil
		}
		alice := a.component("alice")
		defer alice.close()
		for reporter, code := range map[message.URL]int{"hyperty://m.example/mallory": 0, "hyperty://b.example/bob": 403, "hyperty-runtime://b.example/r/sm": 403} {
			room := message.URL("comm://m.example/room")
			stop := m.bus.Listen(room.Join("subscription"), func(ctx context.Context, msg message.Message) {
				check(t, m.bus.Post(ctx, msg.RespondBody(message.Encode(map[string]any{"code": 200, "value": map[string]any{
					"url": room, "reporter": reporter, "data": map[string]any{}, "created": "2026-01-01T00:00:00Z", "status": "live"}}))))
			})
			o, err := alice.Observe(w.ctx, room)
			if code == 0 {
				check(t, err)
				check(t, o.Close(w.ctx))
			} else {
				wantCode(t, err, code)
			}
			stop()
		}
	}, "a.example", "m.example")
}

// A runtime that observes objects for any number of components with long addresses has a bound for all of them.
func TestObserversOfOneRuntimeAreBounded(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		var rooms []*syncher.Reporter
		for range 10 {
			rooms = append(rooms, must[*syncher.Reporter](t)(alice.Create(w.ctx, syncher.Object{Scheme: "comm"})))
		}
		long := strings.Repeat("x", 900)
		for _, typ := range []message.Type{message.Subscribe, message.Unsubscribe, message.Subscribe} {
			for n := range 10 * 600 {
				observer := message.URL(fmt.Sprintf("hyperty-runtime://m.example/r/%s%d", long, n/10))
				a.bus.Arrive(w.ctx, "hyperty-runtime://m.example/r", "", message.Message{ID: message.NumberID(uint64(n + 1)), Type: typ,
					From: "hyperty-runtime://m.example/r/sm", To: rooms[n%10].URL().Join("subscription"), Body: message.Encode(map[string]any{"subscriber": observer})})
				if n%100 == 0 { // the answers take their time
					time.Sleep(10 * time.Second)
				}
			}
			time.Sleep(time.Minute)
			sm, kept := a.sm.lock(), 0
			for _, r := range sm.reported {
				_, bytes := r.Counts()
				kept += bytes
			}
			sm.unlock()
			if want := typ == message.Subscribe; want != (kept > 1<<20) || kept > 5<<20 {
				t.Errorf("after %v: %d bytes of observers' addresses", typ, kept)
			}
		}
		must[*syncher.Observer](t)(bob.Observe(w.ctx, rooms[0].URL()))
		for _, r := range rooms {
			check(t, r.Delete(w.ctx))
		}
		time.Sleep(time.Minute)
		sm := a.sm.lock()
		defer sm.unlock()
		if _, _, n, _ := sm.usage.Counts(); n > 0 {
			t.Errorf("%d runtimes are counted still", n)
		}
	}, "a.example", "b.example", "m.example")
}
