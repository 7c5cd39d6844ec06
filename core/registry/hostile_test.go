package registry

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// A runtime that sends the Registry and its stubs all kinds of requests and takes no answers holds up no other runtime, and
// nothing piles up because of it.
func TestWhoTakesNoAnswersHoldsUpNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		m := w.add("m", "example.com", nil)
		_, _ = m.hyperty("mallory")
		a.mu.Lock()
		a.stuck = m.url
		a.mu.Unlock()
		handler := a.url.Join("p2phandler", "alpha")
		changes := string(a.url.Join("registry", "changes"))
		before := runtime.NumGoroutine()
		for _, asked := range []message.Message{
			{Type: message.Read, To: a.url.Join("registry")},
			{Type: message.Subscribe, To: a.url.Join("registry"), Body: json.RawMessage(`{"subscribe":["` + changes + `"]}`)},
			{Type: message.Subscribe, To: a.url.Join("registry"), Body: json.RawMessage(`{"subscribe":["comm://example.com/x"]}`)},
			{Type: message.Execute, To: a.url.Join("registry"), Body: json.RawMessage(`{"method":"renew"}`)},
			{Type: message.Execute, To: a.url.Join("registry"), Body: json.RawMessage(`{"method":"?"}`)},
			{Type: message.Read, To: handler.Join("status")},
		} {
			w.wait.Go(func() {
				for n := range 2000 {
					asked.ID, asked.From = message.NumberID(uint64(n+1)), m.url.Join("registry")
					a.bus.Arrive(w.ctx, m.url, "door", asked)
				}
			})
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 100 {
			t.Errorf("%d goroutines wait", n)
		}
		began := time.Now()
		answer, err := b.bus.Request(w.ctx, message.Message{Type: message.Subscribe, From: b.url.Join("registry"), To: a.url.Join("registry"),
			Body: json.RawMessage(`{"subscribe":["` + changes + `"]}`)})
		if err == nil {
			_, err = answer.OK()
		}
		if took := time.Since(began); err != nil || took > time.Second {
			t.Errorf("the other runtime follows the changes: %v after %v", err, took)
		}
		answer, err = b.bus.Request(w.ctx, message.Message{Type: message.Read, From: b.url.Join("registry"), To: handler.Join("status")})
		if no, bad := answer.Result(); err != nil || bad != nil || no.Code != message.CodeForbidden {
			t.Errorf("the status of the Handler is stuck: %s, %v", answer.Body, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the Handler's status was read after %v", took)
		}
	})
}

// Runtimes that use made-up addresses, of a domain whose node does not answer, leave room for the look-ups of applications
// here, and one of them for those of the others; and a runtime that gets answers does not have more looked up than its share.
func TestMadeUpAddressesTakeNoPlaces(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		verify := func(remote string, n int) {
			w.wait.Go(func() {
				from := message.URL(fmt.Sprintf("hyperty://example.com/%s-%d", remote, n))
				_ = a.reg.Verify(w.ctx, message.URL("hyperty-runtime://example.com/"+remote), from)
			})
		}
		for n := range 3000 {
			verify("quick", n)
		}
		settle(time.Second)
		reads := 0
		w.change(func() {
			for url, n := range w.reads {
				if strings.Contains(string(url), "quick") {
					reads += n
				}
			}
			w.slow = 4 * time.Second
		})
		if reads > askerBurst+2*askerRate {
			t.Errorf("%d look-ups in a second because of one runtime", reads)
		}
		for n := range 257 * 8 {
			verify(fmt.Sprint("m", n%8), n)
		}
		settle(time.Second)
		if _, err := a.resolve(bob); err != nil {
			t.Errorf("an application's look-up: %v", err)
		}
		began := time.Now()
		if err := a.reg.Verify(w.ctx, b.url, bob); err != nil || time.Since(began) > 10*time.Second {
			t.Errorf("another runtime's message: %v after %v", err, time.Since(began))
		}
	})
}

// A runtime that uses any number of addresses, none of them known as another's, gets little memory for them, and drives out
// no other runtime's.
func TestClaimedAddressesAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		if _, err := a.resolve(bob); err != nil {
			t.Fatal(err)
		}
		stranger := message.URL("hyperty-runtime://example.com/m")
		long := strings.Repeat("x", 900)
		before, taken := inUse(), 0
		for n := range 200_000 {
			from := message.URL(fmt.Sprintf("connection://example.com/%s%d", long, n))
			if a.reg.Verify(w.ctx, stranger, from) == nil {
				taken++
			}
		}
		if grown := inUse() - before; grown > 8<<20 || taken < 100 {
			t.Errorf("%d addresses in %d MiB", taken, grown>>20)
		}
		for n := range 100 { // others have their room
			if err := a.reg.Verify(w.ctx, b.url, message.URL(fmt.Sprint("connection://example.com/b", n))); err != nil {
				t.Fatal(err)
			}
		}
		if u := a.reg.Remote(bob); u != b.url {
			t.Errorf("%s is at %q", bob, u)
		}
	})
}

func inUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// However many changes a runtime publishes, and however often it asks for this one's list, at most one of its tasks waits in
// the loop's queue.
func TestChangesOfOneRuntimeWaitTheirTurn(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		goOn := make(chan struct{})
		a.reg.loop.Do(func() { <-goOn })
		synctest.Wait()
		for n := range 200 {
			a.bus.Arrive(w.ctx, b.url, "door", message.Message{ID: message.NumberID(uint64(n + 1)), Type: message.Update, From: b.url.Join("registry"),
				To: b.url.Join("registry", "changes"), Body: json.RawMessage(fmt.Sprintf(`{"operation":"add","value":["comm://example.com/x"],"version":%d}`, n+100))})
		}
		synctest.Wait()
		if n := a.reg.loop.Queued(); n > 1 {
			t.Errorf("%d tasks of one runtime wait for the loop", n)
		}
		close(goOn)
		settle(time.Minute)
		for n, want := range []int{message.CodeOK, message.CodeUnavailable, message.CodeUnavailable, message.CodeOK} {
			if n == 3 {
				settle(50 * time.Millisecond)
			}
			answer, err := b.bus.Request(w.ctx, message.Message{Type: message.Subscribe, From: b.url.Join("registry"), To: a.url.Join("registry"),
				Body: json.RawMessage(`{"subscribe":["` + string(a.url) + `/registry/changes"]}`)})
			if r, no := answer.Result(); err != nil || no != nil || r.Code != want {
				t.Errorf("list %d: %s, %v, want %d", n, answer.Body, err, want)
			}
		}
		settle(time.Minute)
		if !a.reg.Snapshot().follows(b.url) {
			t.Error("the changes are not followed any more")
		}
	})
}

func (s Status) follows(remote message.URL) bool {
	for _, one := range s.Remotes {
		if one.URL == remote {
			return one.Follows
		}
	}
	return false
}
