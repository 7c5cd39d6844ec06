package registry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// An address that a runtime has announced in its session needs no look-up, and answers to it go back over the live
// connection. The Message Node is away.
func TestAnnouncedNeedsNoLookUp(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, _, _, _, _ := w.pair(func(o *Options) { o.Changes.Off = true })
		const fresh message.URL = "hyperty://example.com/fresh"
		w.change(func() { w.down = true })
		a.reg.Announced(w.ctx, b.url, []message.URL{fresh.Join("part"), b.url.Join("sm"), "domain://registry.example.com", "connection://example.com/c1"})
		began := time.Now()
		if err := a.reg.Verify(w.ctx, b.url, fresh); err != nil {
			t.Error(err)
		}
		if route, err := a.resolve(fresh); err != nil || !route.Direct || route.Remote != b.url {
			t.Errorf("%+v, %v", route, err)
		}
		if took := time.Since(began); took > 0 || w.reads[fresh] != 0 {
			t.Errorf("after %v and %d look-ups", took, w.reads[fresh])
		}
		for _, u := range []message.URL{"domain://registry.example.com", "connection://example.com/c1"} {
			if _, known := a.reg.directory.Find(u); known {
				t.Errorf("%s was announced", u)
			}
		}
		w.change(func() { w.down = false })
	})
}

// An address that is looked up while a message from it is verified is not taken for another's than its runtime's.
func TestLookedUpWhileVerified(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.add("a", "example.com", nil), w.add("b", "example.com", nil), w.add("c", "example.com", nil)
		bob, _ := b.hyperty("bob")
		if _, err := a.resolve(bob); err != nil {
			t.Fatal(err)
		}
		found, known := a.reg.directory.Find(bob)
		if err := a.reg.refuseKnown(b.url, bob, bob, found, known); err != nil || !known {
			t.Errorf("known %v: %v", known, err)
		}
		wantCode(t, a.reg.refuseKnown(c.url, bob, bob, found, known), message.CodeForbidden)
	})
}

// An announcement is a claim: it has no effect on an address that is known as another's or this runtime's, nor on a pinned
// name. The Domain Registry's word counts for more, and over the relay no message goes to the announcer.
func TestAnAnnouncementIsAClaim(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) {
			o.Policy = Never
			o.Trust.Owner = func(name, _ message.URL, certain bool) error {
				if name == "hyperty://example.com/pinned" && !certain {
					return fmt.Errorf("pinned")
				}
				return nil
			}
		})
		b, c := w.add("b", "example.com", nil), w.add("c", "example.com", nil)
		alice, _ := a.hyperty("alice")
		bob, _ := b.hyperty("bob")
		carol, _ := c.hyperty("carol")
		if _, err := a.resolve(bob); err != nil { // bob is known
			t.Fatal(err)
		}
		const pinned, nobody message.URL = "hyperty://example.com/pinned", "hyperty://example.com/nobody"
		a.reg.Announced(w.ctx, c.url, []message.URL{alice, bob, pinned})
		settle(6 * time.Second)
		for _, u := range []message.URL{alice, bob, pinned} {
			wantCode(t, a.reg.Verify(w.ctx, c.url, u), message.CodeForbidden)
		}
		if route, err := a.resolve(bob); err != nil || route.Remote != b.url {
			t.Errorf("to bob: %+v, %v", route, err)
		}

		a.reg.Announced(w.ctx, b.url, []message.URL{carol}) // whom nobody here has heard of
		wantCode(t, a.reg.Verify(w.ctx, b.url, carol), message.CodeForbidden)
		if route, err := a.resolve(carol); err != nil || route.Remote != c.url {
			t.Errorf("to carol: %+v, %v", route, err)
		}
		if err := a.reg.Verify(w.ctx, c.url, carol); err != nil {
			t.Errorf("from carol: %v", err)
		}
		wantCode(t, a.reg.Verify(w.ctx, b.url, carol), message.CodeForbidden)

		a.reg.Announced(w.ctx, b.url, []message.URL{nobody})
		wantCode(t, a.reg.Verify(w.ctx, b.url, nobody), message.CodeForbidden)

		// A caller that may not wait for the answer gets none.
		ended, end := context.WithCancel(w.ctx)
		end()
		const hasty message.URL = "hyperty://example.com/hasty"
		a.reg.Announced(w.ctx, b.url, []message.URL{hasty})
		if err := a.reg.Verify(ended, b.url, hasty); err == nil {
			t.Error("believed without having asked")
		}
		settle(time.Second)
		wantCode(t, a.reg.Verify(w.ctx, b.url, hasty), message.CodeForbidden)

		// A node that does not answer is no reason to believe the announcement; one that is known to be away is.
		const late message.URL = "hyperty://example.com/late"
		node := a.url.Join("protostub", "example.com")
		w.change(func() { w.down = true })
		a.reg.Announced(w.ctx, b.url, []message.URL{late})
		wantCode(t, a.reg.Verify(w.ctx, b.url, late), message.CodeUnavailable)
		a.status(node, message.Live, "")
		a.status(node, message.Disconnected, "")
		settle(time.Millisecond)
		began := time.Now()
		if err := a.reg.Verify(w.ctx, b.url, late); err != nil || time.Since(began) > 0 {
			t.Errorf("while the node is away: %v, after %v", err, time.Since(began))
		}
		w.change(func() { w.down = false })
	})
}

// Nor has it an effect where messages would go there at once, over a live connection: what is known as another's stays there,
// and an address that is pinned to another runtime is nobody else's.
func TestAnAnnouncementOverAConnectionIsAClaim(t *testing.T) {
	const pinned message.URL = "hyperty://example.com/pinned"
	inWorld(t, func(w *world) {
		a, b, _, bob, _, _ := w.pair(func(o *Options) {
			o.Changes.Off = true
			o.Trust.Owner = func(name, owner message.URL, _ bool) error {
				if name == pinned && owner != "hyperty-runtime://example.com/c" {
					return fmt.Errorf("pinned")
				}
				return nil
			}
		})
		c := w.add("c", "example.com", nil)
		carol, _ := c.hyperty("carol")
		if route, err := a.resolve(carol); err != nil || route.Remote != c.url {
			t.Fatalf("to carol: %+v, %v", route, err)
		}
		const free message.URL = "hyperty://example.com/free"
		a.reg.Announced(w.ctx, b.url, []message.URL{carol, pinned, free, bob})
		for u, want := range map[message.URL]bool{carol: false, pinned: false, free: true, bob: true} {
			err := a.reg.Verify(w.ctx, b.url, u)
			if (err == nil) != want || err != nil && !isCode(err, message.CodeForbidden) {
				t.Errorf("%s posts as %s: %v", b.url, u, err)
			}
		}
		if route, err := a.resolve(carol); err != nil || route.Remote != c.url {
			t.Errorf("to carol: %+v, %v", route, err)
		}
		if route, err := a.resolve(pinned); err == nil && route.Remote == b.url {
			t.Errorf("to who is pinned: %+v", route)
		}
	})
}

// The addresses that runtimes announce without a connection are bounded, for each runtime and for all, and drive no address
// out that is known otherwise.
func TestAnnouncementsHaveALimit(t *testing.T) {
	inWorld(t, func(w *world) {
		const each = 10
		a := w.add("a", "example.com", func(o *Options) { o.Cache.MaxAnnounced, o.Policy = each, Never })
		b := w.add("b", "example.com", nil)
		bob, _ := b.hyperty("bob")
		if _, err := a.resolve(bob); err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.down = true })
		for n := range 1000 {
			remote := message.URL(fmt.Sprintf("hyperty-runtime://evil.example/%d", n%100))
			a.reg.Announced(w.ctx, remote, []message.URL{message.URL(fmt.Sprintf("hyperty://evil.example/%d", n))})
		}
		var count int
		if err := a.reg.ask(w.ctx, func() { count = a.reg.directory.Announced() }); err != nil {
			t.Fatal(err)
		}
		if n := a.reg.directory.Addresses(); n > 1+16*each || count != n-1 {
			t.Errorf("%d addresses, %d of them announced", n, count)
		}
		w.change(func() { w.down = false })
		for range 4 { // they expire
			settle(10 * time.Minute)
		}
		if err := a.reg.ask(w.ctx, func() { count = a.reg.directory.Announced() }); err != nil || count != 0 {
			t.Errorf("%d announced addresses are left, %v", count, err)
		}
	})
}

// An announcement does not bypass the Domain Registry: neither while the address's owner is disconnected, nor while many
// look-ups go on. The owner itself is believed even if its node still considers it disconnected.
func TestAnnouncingWhoIsDisconnected(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", func(o *Options) { o.Policy, o.Lookups.Max = Never, 4 })
		b, c := w.add("b", "example.com", nil), w.add("c", "example.com", nil)
		carol, _ := c.hyperty("carol")
		w.change(func() { w.gone[carol] = true })
		a.reg.Announced(w.ctx, b.url, []message.URL{carol})
		wantCode(t, a.reg.Verify(w.ctx, b.url, carol), message.CodeForbidden)
		settle(10 * time.Second)
		wantCode(t, a.reg.Verify(w.ctx, b.url, carol), message.CodeForbidden)
		a.reg.Announced(w.ctx, c.url, []message.URL{carol})
		if err := a.reg.Verify(w.ctx, c.url, carol); err != nil {
			t.Errorf("the owner: %v", err)
		}

		dora, _ := c.hyperty("dora")
		w.change(func() { w.down = true })
		for n := range 4 {
			w.wait.Go(func() {
				_, _ = a.resolve(message.URL(fmt.Sprintf("hyperty://example.com/none%d", n)))
			})
		}
		settle(time.Millisecond)
		a.reg.Announced(w.ctx, b.url, []message.URL{dora})
		if err := a.reg.Verify(w.ctx, b.url, dora); err == nil {
			t.Error("many look-ups lead around the Domain Registry")
		}
		w.change(func() { w.down = false })
		settle(time.Minute)
		wantCode(t, a.reg.Verify(w.ctx, b.url, dora), message.CodeForbidden)
	})
}

// A sender that registers while its node comes back may post a moment before its node has the entry: its first message waits,
// at once after the announcement and also when the Domain Registry has just answered that it has no entry.
func TestAnnouncedBeforeItIsRegistered(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "a moment later": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a := w.add("a", "example.com", func(o *Options) { o.Policy = Never })
				b := w.add("b", "example.com", nil)
				if _, err := a.reg.Explain(w.ctx, message.DomainRegistryAddress("example.com")); err != nil { // has the stub deployed
					t.Fatal(err)
				}
				const late message.URL = "hyperty://example.com/late"
				began := time.Now()
				registered := make(chan error, 1)
				w.wait.Go(func() {
					time.Sleep(time.Second)
					_, err := b.reg.RegisterHyperty(w.ctx, Hyperty{Name: "late"})
					registered <- err
				})
				a.reg.Announced(w.ctx, b.url, []message.URL{late})
				time.Sleep(pause)
				err := a.reg.Verify(w.ctx, b.url, late)
				took := time.Since(began)
				if no := <-registered; no != nil { // in any case before the world ends
					t.Fatal(no)
				}
				if err != nil || took < time.Second || took > 4*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				began = time.Now()
				wantCode(t, a.reg.Verify(w.ctx, b.url, "hyperty://example.com/nobody"), message.CodeForbidden) // it has announced no such address
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
