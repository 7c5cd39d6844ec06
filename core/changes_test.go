package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// listed waits until url is in the list of the other's /registry/changes, as this runtime has it.
func (r *running) listed(url message.URL) {
	r.t.Helper()
	r.await(string(url)+" listed", func(e trace.Event) bool {
		return e.Kind == trace.Listed && e.To == url
	})
}

// addresses is how many addresses are behind the connection with the other.
func (r *running) addresses(other *running) int {
	n := 0
	for _, c := range r.connections(other) {
		n += c.Addresses
	}
	return n
}

// directly tells whether a message to the address would go over a P2P connection with the other.
func (r *running) directly(to message.URL, other *running) bool {
	p, err := r.Path(r.t.Context(), to)
	return err == nil && p.Way == api.WayDirect && p.Remote == other.URL()
}

// A hyperty on the other side of a live connection is known without asking the Domain Registry, as soon as it is registered
// and as long as it is, over reconnects too.
func TestRegistryChanges(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := built.transportIDs[0]
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{transport}})
	alice, bob := a.register("alice"), b.register("bob")
	silent := b.register("silent") // before the connection: in the list
	bob.Handle(answer)
	ask := func(h *hyperty.Hyperty) error {
		_, err := alice.Request(t.Context(), h.URL(), message.Read, nil)
		return err
	}
	if err := ask(bob); err != nil {
		t.Fatal(err)
	}
	a.live(b)
	b.live(a)
	a.listed(silent.URL())
	a.forget()
	reached := func(h *hyperty.Hyperty) {
		t.Helper()
		h.Handle(answer)
		if !a.directly(h.URL(), b) {
			t.Errorf("%s is not reached directly", h.URL())
		}
		if err := ask(h); err != nil {
			t.Errorf("ask %s: %v", h.URL(), err)
		}
		if n := a.lookups(); n != 0 {
			t.Errorf("%d look-ups at the Domain Registry", n)
		}
	}
	removed := func(h *hyperty.Hyperty) {
		t.Helper()
		before := a.addresses(b)
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.until(string(h.URL())+" is gone from the table", waitTime, func() bool { return a.addresses(b) == before-1 })
	}
	reached(silent)
	carol := b.register("carol") // later: an update
	a.listed(carol.URL())
	reached(carol)
	removed(carol)
	var refused *message.ResponseError
	if err := ask(carol); !errors.As(err, &refused) || refused.Code != message.CodeNotFound && refused.Code != message.CodeTimeout {
		t.Errorf("ask a hyperty that is gone: %v", err)
	}

	// The connection breaks; meanwhile a hyperty is registered and another one is closed.
	a.forget()
	b.forget()
	kill(t, b.pid(transport))
	b.await("disconnected", func(e trace.Event) bool {
		return e.Kind == trace.Connection && e.Peer == a.URL() && e.Value == message.Disconnected.String()
	})
	dave := b.register("dave")
	if err := silent.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ask(bob); err != nil { // so that a notices before its transport does
		t.Error(err)
	}
	a.live(b)
	b.live(a)
	a.listed(dave.URL())
	a.until("the list is healed", waitTime, func() bool { return a.addresses(b) == 2 }) // bob and dave
	if n := a.lookups(); n != 0 {
		t.Errorf("%d look-ups at the Domain Registry", n)
	}
	reached(dave)
	erin := b.register("erin")
	a.listed(erin.URL())
	reached(erin)
	removed(dave)
	if err := ask(bob); err != nil {
		t.Error(err)
	}
}

// With the changes switched off nobody subscribes to them, and hyperties are found as before.
func TestRegistryChangesOff(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := built.transportIDs[0]
	off := func(c *core.Config) { c.P2P.NoChanges = true }
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: []string{transport}, change: off})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: []string{transport}})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)
	alice.Handle(answer)
	talk := func(from, to *hyperty.Hyperty) {
		t.Helper()
		if _, err := from.Request(t.Context(), to.URL(), message.Read, nil); err != nil {
			t.Errorf("from %s to %s: %v", from.URL(), to.URL(), err)
		}
	}
	talk(alice, bob)
	a.live(b)
	b.live(a)
	carol := b.register("carol")
	carol.Handle(answer)
	lookups := a.lookups()
	talk(alice, carol)
	if n := a.lookups() - lookups; n != 1 {
		t.Errorf("%d look-ups for a new address, want 1", n)
	}
	// b asks a once and is refused; by then a would long have asked b.
	b.await("a's refusal", func(e trace.Event) bool {
		return e.Kind == trace.Arrive && e.Type == message.Response && e.From == a.URL().Join("registry") && strings.Contains(e.Body, "403")
	})
	talk(bob, alice)
	if n := b.count(func(e trace.Event) bool {
		return e.Kind == trace.Arrive && e.Type == message.Subscribe && e.From == a.URL().Join("registry")
	}); n != 0 {
		t.Errorf("asked %d times", n)
	}
	if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Listed }); n != 0 {
		t.Errorf("%d addresses were listed", n)
	}
}
