package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter that lets only bob observe an object gives nothing of it to another runtime that names bob as its observer.
func TestObservingInAnothersName(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	stranger := startRuntime(t, runtimeOptions{name: "stranger", nodes: []*nodeProcess{node}})
	alice, bob := a.register("alice"), b.register("bob")
	mallory := stranger.register("mallory")
	room, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room", Data: []byte(`{"secret":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	room.Allow(func(observer message.URL) bool { return observer == bob.URL() })
	ask := func(of *running, observer message.URL) (string, error) {
		answer, err := core.RequestAs(t.Context(), of.Runtime, "sm", message.Message{Type: message.Subscribe, To: room.URL().Join("subscription"), Source: observer,
			Body: message.Encode(map[string]message.URL{"subscriber": observer})})
		if err != nil {
			t.Fatal(err)
		}
		value, err := answer.OK()
		return string(value), err
	}
	for _, observer := range []message.URL{bob.URL(), alice.URL(), mallory.URL()} {
		value, err := ask(stranger, observer)
		var refused *message.ResponseError
		if !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
			t.Errorf("observed by the stranger's runtime in the name of %s: %s, %v", observer, value, err)
		}
	}
	if _, err := bob.Objects().Observe(t.Context(), room.URL()); err != nil {
		t.Error(err)
	}
}

// A new hyperty observes an object of a runtime that it has a direct connection with while the Message Node is away, without
// a look-up.
func TestObservingWithoutANode(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	transport := []string{built.transportIDs[0]}
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: transport})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: transport})
	alice, bob := a.register("alice"), b.register("bob")
	alice.Handle(answer)
	bob.Handle(answer)
	rep, _ := share(t, alice, bob)
	if _, err := bob.Request(t.Context(), alice.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	mutual(t, a, b)
	observe := func() time.Duration {
		began := time.Now()
		fresh, err := b.Register(t.Context(), hyperty.Registration{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Objects().Observe(t.Context(), rep.URL()); err != nil {
			t.Errorf("observe: %v", err)
		}
		return time.Since(began)
	}
	usual := []time.Duration{observe(), observe(), observe(), observe()}
	node.kill()
	soon(t, []time.Duration{observe(), observe(), observe(), observe()}, usual)
}

// soon checks that calls without a Message Node do not wait for one: each takes at most a second. On a busy machine, where
// they take long with the node as well, the limit is four times as long as that. That they do not wait at all is checked,
// with a made-up clock, by the registry's TestRegistrationWhileTheNodeIsAway, TestAnnouncedNeedsNoLookUp and
// TestObservingWhileTheNodeIsAway, and by the sync manager's TestObservingWaitsForNoNode.
func soon(t testing.TB, took, usual []time.Duration) {
	t.Helper()
	if longest, most := slices.Max(took), max(time.Second, 4*slices.Max(usual)); longest > most {
		t.Errorf("without a node it takes %v, want at most %v: %v; with it %v", longest, most, took, usual)
	}
}

// An invitation names its reporter, and whoever is invited relies on that. It cannot name one of another runtime.
func TestInvitingInAnothersName(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	stranger := startRuntime(t, runtimeOptions{name: "stranger", nodes: []*nodeProcess{node}})
	alice, bob, mallory := a.register("alice"), b.register("bob"), stranger.register("mallory")
	got := make(chan syncher.Invitation, 10)
	bob.Objects().OnInvite(func(_ context.Context, inv syncher.Invitation) { got <- inv })
	room, err := mallory.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room"})
	if err != nil {
		t.Fatal(err)
	}
	if err := room.Invite(t.Context(), bob.URL()); err != nil {
		t.Fatal(err)
	}
	if inv := <-got; inv.Reporter != mallory.URL() {
		t.Errorf("%+v", inv)
	}
	for _, m := range []message.Message{
		{Body: message.Encode(map[string]any{"value": map[string]any{"url": room.URL(), "reporter": alice.URL(), "runtime": a.URL()}})},
		{Body: message.Encode(map[string]any{"value": map[string]any{"url": room.URL(), "runtime": a.URL()}}), Source: alice.URL()},
		{Body: message.Encode(map[string]any{"value": map[string]any{"url": room.URL(), "reporter": a.URL().Join("sm")}})},
	} {
		m.Type, m.From, m.To = message.Create, room.URL().Join("subscription"), bob.URL()
		answer, err := core.Ask(t.Context(), stranger.Runtime, m)
		if err != nil {
			t.Fatal(err)
		}
		var refused *message.ResponseError
		if _, err := answer.OK(); !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
			t.Errorf("%s was answered: %v", m.Body, err)
		}
	}
	if len(got) > 0 {
		t.Errorf("bob was invited: %+v", <-got)
	}
}
