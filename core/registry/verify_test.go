package registry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/core/registry/changes"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func TestVerify(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.add("a", "example.com", nil), w.add("b", "example.com", nil), w.add("c", "example.com", nil)
		alice, _ := a.hyperty("alice")
		bob, _ := b.hyperty("bob")
		carol, _ := c.hyperty("carol")
		for _, x := range []struct {
			remote *side
			from   message.URL
			code   int
		}{
			{b, b.url, 0},
			{b, b.url.Join("sm"), 0},
			{b, "runtime://example.com/b/sm/", 0},
			{b, c.url.Join("sm"), message.CodeForbidden},
			{b, b.url + "x", message.CodeForbidden},
			{b, a.url.Join("p2phandler", "alpha"), message.CodeForbidden},
			{b, bob, 0},
			{b, bob.Join("x"), 0},
			{b, carol, message.CodeForbidden},
			{c, carol, 0},
			{b, alice, message.CodeForbidden},
			{b, "hyperty://example.com/nobody", message.CodeForbidden},
			{b, "domain://registry.example.com", message.CodeForbidden},
			{b, "global://registry", message.CodeForbidden},
			{b, "mn:/session", message.CodeForbidden},
			{b, "connection://example.com/c1/subscription", 0},
			{b, "connection://example.com/c1", 0},
			{c, "connection://example.com/c1/changes", message.CodeForbidden},
		} {
			err := a.reg.Verify(w.ctx, x.remote.url, x.from)
			if x.code == 0 && err != nil {
				t.Errorf("%s as %s: %v", x.remote.url, x.from, err)
			} else if x.code != 0 {
				wantCode(t, err, x.code)
			}
		}
		if w.reads[bob] != 1 || w.reads[carol] != 1 {
			t.Errorf("reads: %v", w.reads)
		}
		// The answer goes back the way the message came, over the node and without a set-up.
		route, err := a.reg.Resolve(w.ctx, message.Message{Type: message.Response, From: a.url.Join("p2phandler/alpha"), To: "connection://example.com/c1/subscription"})
		if err != nil || route.Remote != b.url || route.Direct {
			t.Errorf("%+v, %v", route, err)
		}
		route, err = a.resolve("connection://example.com/unknown/subscription")
		if err != nil || route.Remote != "" || route.Stub != a.url.Join("protostub", "example.com") {
			t.Errorf("%+v, %v", route, err)
		}
		w.change(func() { w.down = true })
		time.Sleep(2 * time.Second)
		wantCode(t, a.reg.Verify(w.ctx, b.url, "hyperty://example.com/late"), message.CodeUnavailable)
		w.change(func() { w.down = false })
	})
}

// A runtime that lists another's hyperty as its own must get its messages only until the Domain Registry is asked, and must
// not keep the owner from posting.
func TestAClaimIsNoProof(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(nil)
		c := w.add("c", "example.com", nil)
		carol, _ := c.hyperty("carol")
		b.changed(a, changes.Body{Operation: "add", Value: []message.URL{carol}, Version: b.reg.Snapshot().Version + 1})
		if err := a.reg.Verify(w.ctx, c.url, carol); err != nil {
			t.Errorf("the owner: %v", err)
		}
		wantCode(t, a.reg.Verify(w.ctx, b.url, carol), message.CodeForbidden)
		if route, err := a.resolve(carol); err != nil || route.Remote != c.url {
			t.Errorf("%+v, %v", route, err)
		}
		settle(5 * time.Second) // c is connected, and has listed carol too
		b.changed(a, changes.Body{Operation: "add", Value: []message.URL{carol}, Version: b.reg.Snapshot().Version + 2})
		if route, err := a.resolve(carol); err != nil || route.Remote != c.url {
			t.Errorf("listed after the Domain Registry was asked: %+v, %v", route, err)
		}
	})
}

func TestVerifyLocal(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, alice, bob, _, _ := w.pair(nil)
		requester, handler := a.requesters()[0].URL, a.url.Join("p2phandler", "alpha")
		node := a.url.Join("protostub", "example.com")
		room, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: alice})
		if err != nil {
			t.Fatal(err)
		}
		carol, _ := a.hyperty("carol")
		conn, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "connection", Reporter: requester, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			owner, from message.URL
			ok          bool
		}{
			{alice, alice, true}, {alice, alice.Join("x"), true}, {alice, room.Join("changes"), true},
			{alice, carol, false}, {carol, room, false}, {alice, bob, false}, {alice, a.url.Join("sm"), false},
			{alice, conn, false}, {alice, "domain://registry.example.com", false}, {alice, alice + "x", false},
			{"hyperty://example.com/nobody", "hyperty://example.com/nobody", false}, {room, room, false},
			{requester, requester, true}, {requester, requester.Join("status"), true}, {requester, conn.Join("subscription"), true},
			{requester, handler, false}, {requester, alice, false}, {handler, conn, false}, {handler, handler, true},
			{a.url.Join("p2prequester", "none"), a.url.Join("p2prequester", "none"), false},
			{a.url.Join("protostub", "none"), a.url.Join("protostub", "none"), false},
			{a.url.Join("sm"), room.Join("subscription"), true}, {a.url.Join("sm"), a.url.Join("sm"), true}, {a.url.Join("sm"), bob, false},
			{node, node, true}, {node, "domain://registry.example.com", true}, {node, "global://registry", true},
			{node, "domain://registry.far.example", false}, {node, alice, false}, {node, bob, false}, {node, b.url.Join("registry"), false},
			{node, a.url.Join("registry"), false}, {node, "hyperty://example.com/plain", true},
		} {
			err := a.reg.VerifyLocal(x.owner, x.from)
			if (err == nil) != x.ok {
				t.Errorf("%s as %s: %v", x.owner, x.from, err)
			}
		}
		a.reg.AddStub(Stub{URL: a.url.Join("p2phandler", "gamma"), Role: sdk.RoleHandler, Plugin: "gamma"})
		if err := a.reg.VerifyLocal(a.url.Join("p2phandler", "gamma"), a.url.Join("p2phandler", "gamma")); err != nil {
			t.Error(err)
		}
	})
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		w.change(func() { w.down = true })
		ctx, cancel := context.WithTimeout(w.ctx, 100*time.Millisecond)
		defer cancel()
		if err := a.reg.Verify(ctx, "hyperty-runtime://example.com/b", "hyperty://example.com/b"); err != context.DeadlineExceeded {
			t.Error(err)
		}
		w.change(func() { w.down = false })
	})
}

// A hyperty that has moved to another runtime may be used from there as soon as the new runtime's entry is the later one.
func TestVerifyFollowsWhatHasMoved(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.signed(1, nil), w.signed(2, nil), w.signed(3, nil)
		bob, _ := b.hyperty("bob")
		if err := a.reg.Verify(w.ctx, b.url, bob); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			wantCode(t, a.reg.Verify(w.ctx, c.url, bob), message.CodeForbidden)
		}
		if w.reads[bob] != 1 {
			t.Errorf("%d reads, want one: the Domain Registry has just been asked", w.reads[bob])
		}
		w.change(func() { delete(w.names, bob) })
		c.hyperty("bob")
		settle(5 * time.Second)
		if err := a.reg.Verify(w.ctx, c.url, bob); err != nil {
			t.Errorf("where it is now: %v", err)
		}
		if route, err := a.resolve(bob); err != nil || route.Remote != c.url {
			t.Errorf("%+v, %v", route, err)
		}
		settle(5 * time.Second)
		wantCode(t, a.reg.Verify(w.ctx, b.url, bob), message.CodeForbidden)
	})
}

// A data object in the Domain Registry belongs to its reporter's runtime; one that is in none belongs to the first runtime
// that uses it.
func TestVerifyObjects(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.signed(1, nil), w.signed(2, nil), w.signed(3, nil)
		bob, _ := b.hyperty("bob")
		room, err := b.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: bob})
		if err != nil {
			t.Fatal(err)
		}
		private, err := b.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: bob, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, a.reg.Verify(w.ctx, c.url, room.Join("changes")), message.CodeForbidden)
		if err := a.reg.Verify(w.ctx, b.url, room.Join("changes")); err != nil {
			t.Error(err)
		}
		if err := a.reg.Verify(w.ctx, b.url, private.Join("subscription")); err != nil {
			t.Error(err)
		}
		wantCode(t, a.reg.Verify(w.ctx, c.url, private), message.CodeForbidden)
		w.change(func() { w.down = true })
		wantCode(t, a.reg.Verify(w.ctx, c.url, "comm://example.com/late"), message.CodeUnavailable)
		if err := a.reg.Verify(w.ctx, c.url, "connection://example.com/late"); err != nil {
			t.Error(err)
		}
		w.change(func() { w.down = false })
	})
}

// Remote runtimes that claim addresses can neither start stubs of Message Nodes as fast as they like nor take all the room
// for them.
func TestClaimsStartFewNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Nodes.Max = 64 })
		a.hyperty("alice")
		start := time.Now()
		for i := range 200 {
			w.wait.Go(func() {
				from := message.URL(fmt.Sprintf("hyperty://d%d.example/x", i))
				if err := a.reg.Verify(w.ctx, "hyperty-runtime://example.com/b", from); err == nil {
					t.Errorf("%s was believed", from)
				}
			})
		}
		settle(time.Second)
		if n := len(a.deployments()) - 1; n < 8 || n > 8+3 {
			t.Errorf("%d stubs within a second", n)
		}
		settle(time.Minute)
		if n := len(a.deployments()) - 1; n < 8+10 || n > 31 {
			t.Errorf("%d stubs in all", n)
		}
		wantCode(t, a.reg.Verify(w.ctx, "hyperty-runtime://example.com/b", "hyperty://one-more.example/x"), message.CodeForbidden)
		for range 40 {
			a.reg.Verify(w.ctx, "hyperty-runtime://example.com/b", message.URL(fmt.Sprintf("hyperty://e%d.example/x", time.Since(start))))
			time.Sleep(time.Second)
		}
		wantCode(t, a.reg.Verify(w.ctx, "hyperty-runtime://example.com/b", "hyperty://the-last.example/x"), message.CodeTooMany)
		if _, err := a.resolve("domain://registry.own.example"); err != nil {
			t.Errorf("an own message: %v", err)
		}
	})
}
