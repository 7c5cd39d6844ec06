package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// watching is what a hyperty is told, of presence or of events.
type watching[T any] struct {
	t    *testing.T
	told chan T
	err  chan error
}

// presences are what a hyperty is told of addresses.
type presences struct {
	*watching[hyperty.Presence]
	last map[message.URL]hyperty.Presence
}

// watch has a hyperty watch addresses, until the test ends.
func watch(t *testing.T, h *hyperty.Hyperty, addresses ...message.URL) *presences {
	t.Helper()
	w := tell(t, func(ctx context.Context, told func(hyperty.Presence)) error {
		for p, err := range h.Watch(ctx, addresses...) {
			if err != nil {
				return err
			}
			told(p)
		}
		return nil
	})
	return &presences{w, map[message.URL]hyperty.Presence{}}
}

// events has a hyperty told of its runtime's connections, until the test ends.
func events(t *testing.T, h *hyperty.Hyperty) *watching[hyperty.RuntimeEvent] {
	t.Helper()
	return tell(t, func(ctx context.Context, told func(hyperty.RuntimeEvent)) error {
		for e, err := range h.Events(ctx) {
			if err != nil {
				return err
			}
			told(e)
		}
		return nil
	})
}

func tell[T any](t *testing.T, f func(ctx context.Context, told func(T)) error) *watching[T] {
	w := &watching[T]{t: t, told: make(chan T, 1024), err: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.err <- f(ctx, func(one T) { w.told <- one })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

// until waits for what matches, and gives it with all that was told before.
func (w *watching[T]) until(what string, match func(T) bool) (one T, before []T) {
	w.t.Helper()
	late := time.After(waitTime)
	for {
		select {
		case one := <-w.told:
			if match(one) {
				return one, before
			}
			before = append(before, one)
		case err := <-w.err:
			w.t.Fatalf("until %s: the loop has ended: %v; told %v", what, err, before)
		case <-late:
			w.t.Fatalf("not told until %s; told %v", what, before)
		}
	}
}

// becomes waits until an address has a state.
func becomes(w *presences, u message.URL, state hyperty.PresenceState) hyperty.Presence {
	w.t.Helper()
	is := func() bool { return w.last[u].State == state && w.last[u].Confirmed }
	if !is() {
		w.until(fmt.Sprintf("%s is %s", u, state), func(p hyperty.Presence) bool {
			w.last[p.Address] = p
			return is()
		})
	}
	return w.last[u]
}

// ephemeral makes an ephemeral hyperty of an application that is connected over the socket.
func ephemeral(t *testing.T, r *running) *hyperty.Hyperty {
	t.Helper()
	h, err := application(t, r).Register(t.Context(), hyperty.Registration{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// urls are the addresses of what was found.
func urls(f hyperty.Findings) string {
	var list []string
	for _, one := range f.Found {
		list = append(list, strings.TrimPrefix(string(one.URL), "hyperty://"))
	}
	return strings.Join(list, " ")
}

// Hyperties are found by user, resource and data scheme, in pages, at the own domain's node and at another's.
func TestFind(t *testing.T) {
	t.Parallel()
	here, there := startNode(t, "a.example"), startNode(t, "b.example")
	a := startRuntime(t, runtimeOptions{name: "a", domain: "a.example", nodes: []*nodeProcess{here, there}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", domain: "b.example", nodes: []*nodeProcess{here, there}})
	for i, r := range []hyperty.Registration{
		{User: "user://b.example/bob", Resources: []string{"chat"}, DataSchemes: []string{"comm"}},
		{User: "user://b.example/bob", Resources: []string{"chat", "video"}},
		{User: "user://b.example/carol", Resources: []string{"video"}, DataSchemes: []string{"comm"}},
		{},
	} {
		r.Name = fmt.Sprintf("h%d", i)
		if _, err := b.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	a.register("alice")
	if _, err := b.Register(t.Context(), hyperty.Registration{Ephemeral: true, Resources: []string{"chat"}}); err != nil {
		t.Fatal(err)
	}
	alice := ephemeral(t, a)
	for _, c := range []struct {
		q    hyperty.Query
		want string
		more bool
	}{
		{hyperty.Query{Domain: "b.example"}, "b.example/h0 b.example/h1 b.example/h2 b.example/h3", false},
		{hyperty.Query{Domain: "B.example", User: "user://b.example/bob"}, "b.example/h0 b.example/h1", false},
		{hyperty.Query{Domain: "b.example", Resource: "video"}, "b.example/h1 b.example/h2", false},
		{hyperty.Query{Domain: "b.example", Scheme: "comm"}, "b.example/h0 b.example/h2", false},
		{hyperty.Query{Domain: "b.example", User: "user://b.example/bob", Resource: "chat", Scheme: "comm"}, "b.example/h0", false},
		{hyperty.Query{Domain: "b.example", User: "user://b.example/nobody"}, "", false},
		{hyperty.Query{Domain: "b.example", Resource: "ch"}, "", false},
		{hyperty.Query{}, "a.example/alice", false},
	} {
		f, err := alice.Find(t.Context(), c.q)
		if err != nil || urls(f) != c.want || f.More != c.more {
			t.Errorf("%+v: %s, more: %v, %v", c.q, urls(f), f.More, err)
		}
	}
	f, err := alice.Find(t.Context(), hyperty.Query{Domain: "b.example", User: "user://b.example/bob", Scheme: "comm"})
	if err != nil || len(f.Found) != 1 {
		t.Fatalf("%+v: %v", f, err)
	}
	if one := f.Found[0]; one.Runtime != b.URL() || one.User != "user://b.example/bob" || one.State != hyperty.Registered || time.Since(one.Since) > time.Minute ||
		len(one.Resources) != 1 || len(one.DataSchemes) != 1 {
		t.Errorf("%+v", one)
	}
	var all []string
	for page := 1; page < 10; page++ {
		f, err := alice.Find(t.Context(), hyperty.Query{Domain: "b.example", Page: page, Size: 3})
		if err != nil || len(f.Found) > 3 {
			t.Fatalf("page %d: %+v %v", page, f, err)
		}
		if all = append(all, strings.Fields(urls(f))...); !f.More {
			break
		}
	}
	if len(all) != 4 {
		t.Errorf("the pages have %v", all)
	}
	var no *message.ResponseError
	for _, c := range []struct {
		q    hyperty.Query
		code int
	}{
		{hyperty.Query{User: "nobody"}, 400}, {hyperty.Query{Resource: strings.Repeat("x", 257)}, 400}, {hyperty.Query{Domain: "no domain"}, 400},
		{hyperty.Query{Domain: "nowhere.example"}, 504},
	} {
		if _, err := alice.Find(t.Context(), c.q); !errors.As(err, &no) || no.Code != c.code {
			t.Errorf("%+v: %v, want %d", c.q, err, c.code)
		}
	}
	// Whoever is of another runtime, or says nothing that is understood, is refused.
	discovery := a.URL().Join("discovery")
	if code, why := ask(t, b.register("stranger"), message.Read, discovery, `{"find":{}}`); code != 403 {
		t.Errorf("a stranger: %d %s", code, why)
	}
	for body, want := range map[string]int{`{}`: 400, `{"watch":{}}`: 400, `{"find":{"size":"x"}}`: 400, `{"watch":{"addresses":["` + string(a.URL()) + `"]}}`: 400} {
		if code, why := ask(t, alice, message.Read, discovery, body); code != want {
			t.Errorf("%s: %d %s", body, code, why)
		}
	}
}

// An application is told when another one, at another runtime, comes, goes, and is registered for the first time.
func TestWatch(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}})
	bob, carol := b.register("bob"), message.URL("hyperty://a.example/carol")
	w := watch(t, ephemeral(t, a), bob.URL(), carol, bob.URL().Join("child"))
	p := becomes(w, bob.URL(), hyperty.Registered)
	if p.Runtime != b.URL() || time.Since(p.Since) > time.Minute || p.Since.After(time.Now()) {
		t.Errorf("%+v", p)
	}
	becomes(w, carol, hyperty.Gone)
	if err := bob.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := becomes(w, bob.URL(), hyperty.Away); p.Runtime != "" || time.Since(p.Since) > time.Minute {
		t.Errorf("%+v", p)
	}
	b.register("carol")
	becomes(w, carol, hyperty.Registered)
	b.register("bob")
	becomes(w, bob.URL(), hyperty.Registered)
	var no *message.ResponseError
	if _, err := alone(w.t, a, a.URL()); !errors.As(err, &no) || no.Code != 400 {
		t.Errorf("a runtime was watched: %v", err)
	}
}

// alone is the first that a new application is told of an address.
func alone(t *testing.T, r *running, u message.URL) (hyperty.Presence, error) {
	for p, err := range ephemeral(t, r).Watch(t.Context(), u) {
		return p, err
	}
	return hyperty.Presence{}, t.Context().Err()
}

// The same of hyperties of the own runtime, ephemeral ones too.
func TestWatchHere(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: served})
	bob, eve := a.register("bob"), ephemeral(t, a)
	w := watch(t, ephemeral(t, a), bob.URL(), eve.URL())
	becomes(w, bob.URL(), hyperty.Registered)
	becomes(w, eve.URL(), hyperty.Registered)
	if err := bob.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	becomes(w, bob.URL(), hyperty.Away)
	if err := eve.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	becomes(w, eve.URL(), hyperty.Gone)
}

// The application's process is killed; its runtime goes on.
func TestWatchOfAKilledApplication(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}, change: served})
	deaf, kill := b.deaf()
	w := watch(t, ephemeral(t, a), deaf)
	becomes(w, deaf, hyperty.Registered)
	kill()
	becomes(w, deaf, hyperty.Away)
}

// A runtime is killed, and is back: its hyperties are away, and registered again, and it is unreachable, and reached again.
func TestWatchOfAKilledRuntime(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example", "PROTOFLY_NODE_TIMES__GRACE=500ms", "PROTOFLY_NODE_TIMES__SWEEP=100ms")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: served})
	alice, bob, dir := ephemeral(t, a), message.URL("hyperty://a.example/bob"), shortDir(t)
	w, e := watch(t, alice, bob), events(t, alice)
	becomes(w, bob, hyperty.Gone)
	r := startListener(t, n, dir, "bob")
	peer := becomes(w, bob, hyperty.Registered).Runtime
	reached := func(e hyperty.RuntimeEvent) bool { return e.Peer == peer && e.Kind != hyperty.PeerUnreachable }
	if err := alice.Send(t.Context(), bob, nil); err != nil {
		t.Fatal(err)
	}
	e.until("bob's runtime is reached", reached)
	r.kill()
	before := time.Now()
	if p := becomes(w, bob, hyperty.Away); p.Since.Before(before.Add(-time.Minute)) {
		t.Errorf("%+v", p)
	}
	if err := alice.Send(t.Context(), bob.Join("x"), nil); err != nil {
		t.Fatal(err)
	}
	ask(t, alice, message.Read, peer.Join("nothing"), `{}`)
	e.until("bob's runtime is unreachable", func(e hyperty.RuntimeEvent) bool { return e.Peer == peer && e.Kind == hyperty.PeerUnreachable })
	r = startListener(t, n, dir, "bob")
	becomes(w, bob, hyperty.Registered)
	ask(t, alice, message.Read, peer.Join("nothing"), `{}`)
	e.until("bob's runtime is reached again", reached)
	r.kill()
}

// The Message Node is killed, and is back: what was known stays, and is not confirmed, but where a direct path leads.
func TestWatchWhileTheNodeIsAway(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}})
	alice, bob := ephemeral(t, a), b.register("bob")
	w, e := watch(t, alice, bob.URL()), events(t, alice)
	first := becomes(w, bob.URL(), hyperty.Registered)
	e.until("the node is there", func(e hyperty.RuntimeEvent) bool { return e.Kind == hyperty.NodeBack && e.Domain == "a.example" })
	n.kill()
	e.until("the node is away", func(e hyperty.RuntimeEvent) bool { return e.Kind == hyperty.NodeAway && e.Domain == "a.example" })
	p, _ := w.until("it is not confirmed", func(p hyperty.Presence) bool { return !p.Confirmed })
	if p.State != hyperty.Registered || p.Since != first.Since || p.Why == "" {
		t.Errorf("while the node is away: %+v", p)
	}
	var no *message.ResponseError
	if _, err := alice.Find(t.Context(), hyperty.Query{}); !errors.As(err, &no) || no.Code != 504 {
		t.Errorf("found while the node is away: %v", err)
	}
	n.start()
	e.until("the node is back", func(e hyperty.RuntimeEvent) bool { return e.Kind == hyperty.NodeBack && e.Domain == "a.example" })
	p, between := w.until("it is confirmed", func(p hyperty.Presence) bool { return p.Confirmed && p.State == hyperty.Registered })
	if p.Since != first.Since {
		t.Errorf("since %v, and first since %v; between: %v", p.Since, first.Since, between)
	}
}

// A direct path comes and dies.
func TestEventsOfPaths(t *testing.T) {
	t.Parallel()
	transport := oneTransport(t)
	n := startNode(t, "a.example")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{n}, use: []string{transport}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}, use: []string{transport}})
	alice, bob := ephemeral(t, a), b.register("bob")
	w, e := watch(t, alice, bob.URL()), events(t, alice)
	becomes(w, bob.URL(), hyperty.Registered)
	if err := alice.Send(t.Context(), bob.URL(), nil); err != nil {
		t.Fatal(err)
	}
	is := func(kind hyperty.EventKind) func(hyperty.RuntimeEvent) bool {
		return func(e hyperty.RuntimeEvent) bool { return e.Peer == b.URL() && e.Kind == kind }
	}
	e.until("it is direct", is(hyperty.PeerDirect))
	s, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Plugins {
		if p.Name == transport {
			kill(t, p.PID)
		}
	}
	e.until("it is relayed", is(hyperty.PeerRelayed))
	if err := alice.Send(t.Context(), bob.URL(), nil); err != nil {
		t.Fatal(err)
	}
	e.until("it is direct again", is(hyperty.PeerDirect))
}

// The watcher's own runtime ends, and another process of it begins.
func TestWatchOverARestart(t *testing.T) {
	t.Parallel()
	n := startNode(t, "a.example")
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{n}})
	bob, dir := b.register("bob"), temporary(t)
	first := startProcess(t, dir, n)
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: first.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	alice, err := client.Register(t.Context(), hyperty.Registration{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, alice, bob.URL())
	becomes(w, bob.URL(), hyperty.Registered)
	kill(t, first.cmd.Process.Pid)
	_ = first.cmd.Wait()
	if p, _ := w.until("it is not confirmed", func(p hyperty.Presence) bool { return !p.Confirmed }); p.State != hyperty.Registered {
		t.Errorf("%+v", p)
	}
	if err := bob.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	startProcess(t, dir, n)
	becomes(w, bob.URL(), hyperty.Away)
}
