package registry

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var no *message.ResponseError
	if !errors.As(err, &no) || no.Code != code {
		t.Fatalf("got error %v, want a response %d", err, code)
	}
}

func TestFirstMessageGoesOverTheNodeAndTheRestDirect(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, bob, _, atB := w.pair(nil)
		if atB.len() != 1 {
			t.Fatalf("bob has %d messages, want the first", atB.len())
		}
		before, relayed := a.counts()
		for range 10 {
			a.say(alice, bob)
		}
		settle(time.Second)
		direct, relayedNow := a.counts()
		if direct-before != 10 || relayedNow != relayed {
			t.Fatalf("10 messages: %d direct, %d relayed", direct-before, relayedNow-relayed)
		}
		route, err := b.resolve(alice)
		if err != nil || !route.Direct || route.Remote != a.url || route.Stub != b.url.Join("p2phandler", "alpha") ||
			route.Door != b.doors[a.url] || !route.Door.Within(route.Stub) || route.Door == route.Stub {
			t.Fatalf("bob's way to alice: %+v, %v; the door is %s", route, err, b.doors[a.url])
		}
		if w.reads[bob] != 1 {
			t.Fatalf("the Domain Registry was read %d times for bob", w.reads[bob])
		}
		if len(a.requesters()) != 1 || len(b.requesters()) != 0 {
			t.Fatalf("requesters: %v and %v", a.requesters(), b.requesters())
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if want := string(b.url) + " direct=true"; len(a.paths) == 0 || a.paths[len(a.paths)-1] != want {
			t.Fatalf("PathChanged: %v, want at last %q", a.paths, want)
		}
	})
}

func TestBackEndsGoToTheirDomainsNode(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		for to, domain := range map[message.URL]string{
			"domain://msg-node.example.com/sm": "example.com", "domain://registry.far.example": "far.example",
			"global://registry": "example.com", "domain-idp://far.example": "far.example",
		} {
			route, err := a.resolve(to)
			if err != nil || route.Stub != a.url.Join("protostub", domain) || route.Remote != "" || route.Door != route.Stub {
				t.Errorf("%s: %+v, %v", to, route, err)
			}
		}
		if n := len(a.deployments()); n != 2 {
			t.Errorf("%d stubs deployed, want one for each domain", n)
		}
	})
}

func TestNobodyKnows(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		alice, _ := a.hyperty("alice")
		for range 3 {
			_, err := a.resolve("hyperty://example.com/nobody")
			wantCode(t, err, message.CodeNotFound)
		}
		if n := w.reads["hyperty://example.com/nobody"]; n != 1 {
			t.Errorf("%d reads within a second, want 1", n)
		}
		time.Sleep(2 * time.Second)
		_, err := a.resolve("hyperty://example.com/nobody")
		wantCode(t, err, message.CodeNotFound)
		if n := w.reads["hyperty://example.com/nobody"]; n != 2 {
			t.Errorf("%d reads after the refusal was forgotten, want 2", n)
		}
		for _, own := range []message.URL{alice.Join("x"), a.url.Join("nothing"), "mn:/session"} {
			_, err = a.resolve(own)
			wantCode(t, err, message.CodeNotFound)
		}
		answer, err := a.bus.Request(w.ctx, message.Message{Type: message.Read, From: alice, To: "hyperty://example.com/nobody"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = answer.OK()
		wantCode(t, err, message.CodeNotFound)
	})
}

func TestDisconnectedEntriesAndNoDomainRegistry(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		w.change(func() { w.gone[bob] = true })
		_, err := a.resolve(bob)
		wantCode(t, err, message.CodeTimeout)
		w.change(func() { w.gone[bob], w.down = false, true })
		time.Sleep(2 * time.Second)
		start := time.Now()
		_, err = a.resolve(bob)
		wantCode(t, err, message.CodeUnavailable)
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		w.change(func() { w.down = false })
		time.Sleep(2 * time.Second)
		if _, err = a.resolve(bob); err != nil {
			t.Error(err)
		}
	})
}

func TestOneReadForAnyNumberOfMessages(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		w.change(func() { w.slow = time.Second })
		var wait sync.WaitGroup
		for i := range 200 {
			wait.Go(func() {
				if _, err := a.resolve(bob.Join(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		settle(10 * time.Millisecond)
		if w.reads[bob] != 1 {
			t.Errorf("%d reads", w.reads[bob])
		}
		if n := len(a.deployments()); n != 2 { // the node's stub and one Requester
			t.Errorf("%d deployments, want 2", n)
		}
		w.change(func() { w.slow = 0 })
	})
}

// An entry that names no Handlers is not read again for their sake.
func TestOneReadForARuntimeWithoutHandlers(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", func(o *Options) { o.Handlers = nil })
		bob, _ := b.hyperty("bob")
		for range 10 {
			if route, err := a.resolve(bob); err != nil || route.Direct {
				t.Errorf("%+v, %v", route, err)
			}
			settle(10 * time.Millisecond)
		}
		if w.reads[bob] != 1 {
			t.Errorf("%d reads", w.reads[bob])
		}
	})
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		wish   message.Tristate
		typ    message.Type
		from   message.URL
		want   int
	}{
		{"", message.Unset, message.Update, "hyperty://x.example/x", 1},
		{Auto, message.No, message.Update, "hyperty://x.example/x", 0},
		{Auto, message.Unset, message.Response, "hyperty://x.example/x", 0},
		{Auto, message.Unset, message.Update, "connection://x.example/x", 0},
		{Auto, message.Unset, message.Update, "hyperty-runtime://example.com/a/p2phandler/alpha", 0},
		{Requested, message.Unset, message.Update, "hyperty://x.example/x", 0},
		{Requested, message.Yes, message.Update, "hyperty://x.example/x", 1},
		{Never, message.Yes, message.Update, "hyperty://x.example/x", 0},
	} {
		t.Run(fmt.Sprintf("%s/%d/%s", c.policy, c.wish, c.from.Scheme()), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a := w.add("a", "example.com", func(o *Options) { o.Policy = c.policy })
				b := w.add("b", "example.com", nil)
				bob, _ := b.hyperty("bob")
				route, err := a.reg.Resolve(w.ctx, message.Message{Type: c.typ, From: c.from, To: bob, P2P: c.wish})
				if err != nil || route.Direct || route.Remote != b.url || route.Stub != a.url.Join("protostub/example.com") {
					t.Fatalf("%+v, %v", route, err)
				}
				settle(time.Second)
				if n := len(a.requesters()); n != c.want {
					t.Errorf("%d set-ups, want %d", n, c.want)
				}
				route, err = a.reg.Explain(w.ctx, bob)
				if err != nil || route.Direct != (c.want == 1) || route.Why == "" {
					t.Errorf("afterwards: %+v, %v", route, err)
				}
			})
		})
	}
}

func TestExplainStartsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		if route, err := a.reg.Explain(w.ctx, bob); err != nil || route.Remote != b.url {
			t.Fatalf("%+v, %v", route, err)
		}
		settle(time.Minute)
		if n := len(a.requesters()); n != 0 {
			t.Errorf("%d set-ups", n)
		}
	})
}

func TestConnectingTakesTheNode(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		a.mute = true
		bob, _ := b.hyperty("bob")
		a.resolve(bob)
		settle(time.Second)
		a.mustBe(b, message.Created, sdk.RoleRequester)
		for _, to := range []message.URL{bob, b.url.Join("p2phandler", "alpha"), b.url.Join("registry"), "runtime://example.com/b/sm"} {
			route, err := a.resolve(to)
			if err != nil || route.Direct || route.Remote != b.url || !strings.Contains(route.Why, "being set up") {
				t.Errorf("%s: %+v, %v", to, route, err)
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if n := countEvents(a.events, trace.Deploy, "registered"); n != 4 {
			t.Errorf("%d Deploy events, want one for each message", n)
		}
	})
}

func countEvents(events []trace.Event, kind trace.Kind, value string) (n int) {
	for _, e := range events {
		if e.Kind == kind && e.Value == value {
			n++
		}
	}
	return n
}

func TestForeignDomainsNodeIsDeployedOnDemand(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "far.example", nil)
		alice, atA := a.hyperty("alice")
		bob, atB := b.hyperty("bob")
		a.say(alice, bob)
		settle(time.Second)
		b.say(bob, alice)
		settle(time.Second)
		if atA.len() != 1 || atB.len() != 1 {
			t.Fatalf("arrived: %d at alice, %d at bob", atA.len(), atB.len())
		}
		a.mustBe(b, message.Live, sdk.RoleRequester)
		b.mustBe(a, message.Live, sdk.RoleHandler)
	})
}

func TestNodeThatCannotBeDeployed(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		a.deployErr["far.example"] = errors.New("no such node")
		for range 5 {
			_, err := a.resolve("domain://msg-node.far.example/sm")
			wantCode(t, err, message.CodeUnavailable)
			if !strings.Contains(err.Error(), "no such node") {
				t.Error(err)
			}
		}
		if n := len(a.deployments()); n != 1 {
			t.Errorf("%d deployments at once, want 1", n)
		}
		a.mu.Lock()
		delete(a.deployErr, "far.example")
		a.mu.Unlock()
		time.Sleep(3 * time.Second)
		if _, err := a.resolve("domain://msg-node.far.example/sm"); err != nil {
			t.Error(err)
		}
	})
}

func TestRouteToHasTheNodeDeployed(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		remote := message.URL("hyperty-runtime://far.example/z")
		if _, err := a.reg.RouteTo(remote); !errors.Is(err, ErrNoWay) {
			t.Fatal(err)
		}
		settle(time.Second)
		if len(a.paths) != 1 || a.paths[0] != string(remote)+" direct=false" {
			t.Errorf("PathChanged: %v", a.paths)
		}
		if route, err := a.reg.RouteTo(remote); err != nil || route.Remote != remote {
			t.Errorf("%+v, %v", route, err)
		}
		if _, err := a.reg.RouteTo(a.url); !errors.Is(err, ErrNoWay) {
			t.Error(err)
		}
	})
}

func TestLimitOfNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Nodes.Max = 2 })
		a.deployErr["one.example"] = errors.New("no")
		a.resolve("domain://one.example")
		a.resolve("domain://two.example")
		if _, err := a.resolve("domain://three.example"); err != nil {
			t.Errorf("a failed one makes room: %v", err)
		}
		_, err := a.resolve("domain://four.example")
		wantCode(t, err, message.CodeTooMany)
	})
}

func TestTablesAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Cache.MaxAddresses, o.Cache.MaxRuntimes = 1000, 3 })
		for i := range 3000 {
			a.reg.Verify(w.ctx, "hyperty-runtime://example.com/r", message.URL(fmt.Sprintf("comm://example.com/%d", i)))
		}
		if s := a.reg.Snapshot(); s.Known > 1000 || s.Known < 900 {
			t.Errorf("%d addresses, at most 1000 are allowed", s.Known)
		}
		for i := range 10 {
			a.reg.Verify(w.ctx, message.URL(fmt.Sprintf("hyperty-runtime://example.com/%d", i)), message.URL(fmt.Sprintf("ctxt://example.com/%d", i)))
		}
		if s := a.reg.Snapshot(); s.Runtimes != 3 {
			t.Errorf("%d runtimes, at most 3 are allowed", s.Runtimes)
		}
		settle(time.Hour)
		if s := a.reg.Snapshot(); s.Known != 0 || s.Runtimes != 0 {
			t.Errorf("an hour later: %d addresses of %d runtimes, want none", s.Known, s.Runtimes)
		}
	})
}

func TestAddressesJoinTheConnection(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(func(o *Options) { o.Changes.Off = true })
		carol, _ := b.hyperty("carol")
		for _, to := range []message.URL{bob, carol, bob.Join("x"), carol} {
			if route, err := a.resolve(to); err != nil || !route.Direct {
				t.Errorf("%s: %+v, %v", to, route, err)
			}
		}
		settle(time.Millisecond)
		// bob, carol, and the Handler's Connection object if there is one: here there is none
		if c := a.connection(b); c.Addresses != 2 {
			t.Errorf("%d addresses joined, want 2", c.Addresses)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, e := range a.events {
			if e.Kind == trace.Learned && e.To == bob && e.Via != "" {
				return
			}
		}
		t.Error("no Learned event for bob's joining")
	})
}

func TestAddressesOutliveTheirTimeWhileLive(t *testing.T) {
	inWorld(t, func(w *world) {
		a, _, _, bob, _, _ := w.pair(nil)
		w.change(func() { w.down = true })
		settle(2 * time.Hour)
		if route, err := a.resolve(bob); err != nil || !route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
		w.change(func() { w.down = false })
	})
}
