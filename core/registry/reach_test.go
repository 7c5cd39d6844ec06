package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// stranger is the runtime of a domain that nobody here knows; its address is derived from a key.
func stranger(n int) message.URL {
	return message.URL(fmt.Sprintf("hyperty-runtime://d%d.example/%s", n, strings.Repeat("a", 32)))
}

// foreign is how many stubs of Message Nodes were deployed, besides that of this domain's.
func (s *side) foreign() (n int) {
	for _, d := range s.deployments() {
		if d.Domain != s.domain && d.Domain != "" {
			n++
		}
	}
	return n
}

// Frames of runtimes that nobody here has dealt with cause no connection, however many there are, and this runtime's own
// messages find room.
func TestFramesReachNoNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Trust.Unsigned = nil })
		for i := range 1000 {
			if _, err := a.reg.RouteTo(stranger(i)); !errors.Is(err, ErrNoWay) {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		if n := a.foreign(); n != 0 {
			t.Errorf("%d stubs because of frames", n)
		}
		if _, err := a.resolve("domain://registry.own.example"); err != nil {
			t.Errorf("an own message: %v", err)
		}
	})
}

// Answers to strangers go back the way that their messages came. Where there is no such way, only a limited number of their
// domains are reached, and this runtime's own messages find room all the same.
func TestAnswersReachFewNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		came := true
		var a *side
		a = w.add("a", "example.com", func(o *Options) {
			o.Nodes.Max = 8
			o.Nodes.Came = func(message.URL) (message.URL, bool) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return a.url.Join("protostub", "example.com"), came
			}
		})
		answer := func(n int) (bus.Route, error) {
			return a.reg.Resolve(w.ctx, message.Message{Type: message.Response, From: a.url.Join("registry"), To: stranger(n).Join("registry")})
		}
		for i := range 100 {
			if route, err := answer(i); err != nil || route.Stub != a.url.Join("protostub", "example.com") || route.Remote != stranger(i) {
				t.Fatalf("%+v, %v", route, err)
			}
		}
		if n := a.foreign(); n != 0 {
			t.Errorf("%d stubs because of answers that had a way", n)
		}
		w.change(func() { came = false })
		for i := range 100 {
			_, _ = answer(i)
		}
		if n := a.foreign(); n != 4 {
			t.Errorf("%d stubs because of answers, want half of 8", n)
		}
		for i := range 3 { // and this domain's
			if _, err := a.resolve(message.URL(fmt.Sprintf("domain://registry.own%d.example", i))); err != nil {
				t.Errorf("an own message: %v", err)
			}
		}
	})
}

// A stub that was deployed because of remote runtimes ends when nobody uses it. One that a message of this runtime has needed
// stays, and so does one that carries something, or by which its node is asked.
func TestIdleNodesAreLeft(t *testing.T) {
	inWorld(t, func(w *world) {
		busy := message.URL("")
		a := w.add("a", "example.com", func(o *Options) {
			o.Nodes.Idle = time.Minute
			o.Nodes.InUse = func(stub message.URL, within time.Duration) bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return stub == busy && within == time.Minute
			}
		})
		claim := func(n int) {
			a.reg.Verify(w.ctx, stranger(n), message.URL(fmt.Sprintf("hyperty://d%d.example/x", n)))
		}
		for i := range 4 {
			claim(i)
		}
		node := func(n int) message.URL { return a.url.Join("protostub", fmt.Sprintf("d%d.example", n)) }
		w.change(func() { busy = node(2) })
		if _, err := a.resolve("domain://registry.d1.example"); err != nil {
			t.Fatal(err)
		}
		for range 30 { // the last one is used again and again
			settle(10 * time.Second)
			claim(3)
		}
		for n, want := range []bool{false, true, true, true} {
			if _, runs := a.reg.Stub(node(n)); runs != want || a.hasEnded(node(n)) == want {
				t.Errorf("%s runs: %v, want %v", node(n), runs, want)
			}
		}
		w.change(func() { busy = "" })
		settle(5 * time.Minute)
		if !a.hasEnded(node(2)) {
			t.Error("what nobody uses any more stays")
		}
		claim(0) // and is there again when it is needed
		if _, runs := a.reg.Stub(node(0)); !runs {
			t.Error("it was not deployed again")
		}
	})
}

// The nodes that the operator has named are reached for remote runtimes as for this one.
func TestNamedNodesNeedNoTurn(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) {
			o.Nodes.Max = 4
			o.Nodes.Named = func(domain string) bool { return domain == "partner.example" }
		})
		for i := range 50 {
			a.reg.Verify(w.ctx, stranger(i), message.URL(fmt.Sprintf("hyperty://d%d.example/x", i)))
		}
		if err := a.reg.Verify(w.ctx, stranger(1), "hyperty://partner.example/x"); isCode(err, message.CodeTooMany) {
			t.Error(err)
		}
	})
}
