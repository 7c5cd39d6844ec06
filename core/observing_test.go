package core_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A reporter that lets bob alone observe an object gives nothing of it to another runtime that names bob as its observer.
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

// A new hyperty observes an object of a runtime that it has a direct connection with while the Message Node is away: nobody
// need be asked whose it is.
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
	node.kill()
	for range 4 {
		began := time.Now()
		fresh, err := b.Register(t.Context(), hyperty.Registration{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Objects().Observe(t.Context(), rep.URL()); err != nil {
			t.Errorf("observe: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("observed after %v", took)
		}
	}
}
