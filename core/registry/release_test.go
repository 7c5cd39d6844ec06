package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// A name that is given up may be registered by another runtime at once, and messages go there; one that is unregistered stays.
func TestANameIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.signed(1, nil), w.signed(2, nil), w.signed(3, nil)
		bob, _ := a.hyperty("bob")
		if route, err := c.resolve(bob); err != nil || route.Remote != a.url {
			t.Fatalf("%+v, %v", route, err)
		}
		if err := a.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		_, err := b.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"})
		wantCode(t, err, message.CodeConflict)
		a.hyperty("bob")
		if err := a.reg.Release(w.ctx, bob); err != nil || !slices.Equal(w.freed, []message.URL{bob}) {
			t.Fatalf("%v, freed %v", err, w.freed)
		}
		time.Sleep(time.Second)
		b.hyperty("bob")
		c.reg.Ended(w.ctx, a.url, []message.URL{bob}) // as a's session says
		if route, err := c.resolve(bob); err != nil || route.Remote != b.url {
			t.Errorf("it leads to %+v, %v", route, err)
		}
		if err := c.reg.Verify(w.ctx, b.url, bob); err != nil {
			t.Errorf("its new owner: %v", err)
		}
		if err := c.reg.Verify(w.ctx, a.url, bob); err == nil {
			t.Error("its old owner may post from there")
		}
		_, err = a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"})
		wantCode(t, err, message.CodeConflict)
		wantCode(t, a.reg.Release(w.ctx, bob), message.CodeNotFound)
	})
}

// A name that is given up while the node is away is told to be kept, and given up when the node is back.
func TestANameIsReleasedLater(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		node := a.url.Join("protostub", "example.com")
		if _, err := a.reg.Explain(w.ctx, message.DomainRegistryAddress("example.com")); err != nil {
			t.Fatal(err)
		}
		a.status(node, message.Live, "")
		bob, _ := a.hyperty("bob")
		w.change(func() { w.down = true })
		a.status(node, message.Disconnected, "")
		settle(time.Millisecond)
		err := a.reg.Release(w.ctx, bob)
		wantCode(t, err, message.CodeUnavailable)
		if !strings.Contains(err.Error(), "when it is back") {
			t.Error(err)
		}
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "bob"}); err == nil {
			t.Error("a name that is given up is used again while the node is away")
		}
		w.change(func() { w.down = false })
		a.status(node, message.Live, "")
		settle(10 * time.Second)
		if !slices.Contains(w.freed, bob) || !w.gone[bob] {
			t.Errorf("freed %v, gone %v", w.freed, w.gone[bob])
		}
	})
}

// A hyperty that is ephemeral costs the node and others nothing, is there while the node is away, and may post as itself alone.
func TestEphemeralHyperties(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.add("a", "example.com", nil), w.add("b", "example.com", nil)
		bob, atB := b.hyperty("bob")
		alice, _ := a.hyperty("alice")
		a.say(alice, bob)
		settle(time.Second)
		before, version, known := len(w.asked), a.reg.Snapshot().Version, b.reg.Snapshot().Known
		u, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Ephemeral: true, Resources: []string{"chat"}})
		if err != nil || !u.Within(a.url.Join("hyperty")) || u.Check() != nil {
			t.Fatal(u, err)
		}
		got := &inbox{}
		stop := a.bus.Listen(u, func(_ context.Context, m message.Message) { got.got = append(got.got, m) })
		a.say(u, bob)
		a.say(u.Join("part"), bob)
		settle(time.Second)
		if atB.len() != 3 {
			t.Errorf("%d messages came", atB.len())
		}
		b.say(bob, u)
		settle(time.Second)
		if got.len() != 1 {
			t.Errorf("%d messages came back", got.len())
		}
		for _, from := range []message.URL{alice, a.url, a.url.Join("registry"), a.url.Join("hyperty", "other"), bob, a.url.Join("protostub", "example.com")} {
			if err := a.reg.VerifyLocal(u, from); err == nil {
				t.Errorf("it may post as %s", from)
			}
		}
		if err := a.reg.Unregister(w.ctx, u); err != nil {
			t.Fatal(err)
		}
		stop()
		settle(time.Second)
		if err := a.reg.VerifyLocal(u, u); err == nil || a.reg.Local(u) || !a.reg.Local(alice) || !a.reg.Local(a.url.Join("sm")) {
			t.Error("it may post when it has gone")
		}
		if _, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: u}); err == nil {
			t.Error("it may report when it has gone")
		}
		_, err = a.resolve(u)
		wantCode(t, err, message.CodeNotFound)
		if s := a.reg.Snapshot(); len(w.asked) != before || s.Version != version || b.reg.Snapshot().Known != known || len(s.Hyperties) != 1 {
			t.Errorf("the node was asked %d times, version %d (before %d), b knows %d (before %d), hyperties %+v",
				len(w.asked)-before, s.Version, version, b.reg.Snapshot().Known, known, s.Hyperties)
		}
		// It gets the address again that it had, as long as nobody else has it.
		id := strings.TrimPrefix(string(u), string(a.url.Join("hyperty"))+"/")
		if again, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Ephemeral: true, Resumed: true, Name: id}); err != nil || again != u {
			t.Errorf("%s, %v", again, err)
		}
		_, err = a.reg.RegisterHyperty(w.ctx, Hyperty{Ephemeral: true, Resumed: true, Name: id})
		wantCode(t, err, message.CodeConflict)
		var name *message.NameError
		if _, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Ephemeral: true, Name: "../registry"}); !errors.As(err, &name) {
			t.Errorf("a name that is none: %v", err)
		}
	})
}

// An address that was made for a hyperty, and that it had once more after a restart, goes with it; so does that of a private object.
func TestMadeAddressesAreFreed(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.add("a", "example.com", nil)
		made, err := a.reg.RegisterHyperty(w.ctx, Hyperty{Name: "0a1b", Resumed: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.reg.Unregister(w.ctx, made); err != nil || !slices.Contains(w.freed, made) {
			t.Errorf("%v, freed %v", err, w.freed)
		}
		private, err := a.reg.RegisterObject(w.ctx, Object{Scheme: "comm", Reporter: a.url.Join("sm"), Private: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.reg.Close(w.ctx); err != nil || !slices.Contains(w.freed, private) {
			t.Errorf("%v, freed %v", err, w.freed)
		}
	})
}
