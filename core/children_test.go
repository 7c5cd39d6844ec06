package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A chat room with children: what each of two observers says reaches the other one and the reporter, first over the Message
// Node and then directly. A hyperty that may not observe can neither read nor say anything.
func TestChildObjects(t *testing.T) {
	t.Parallel()
	build(t)
	n := startNode(t, "example.com")
	start := func(name string) *running {
		return startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{n}, use: built.transportIDs[:1]})
	}
	a, b, c := start("a"), start("b"), start("c")
	alice, bob, carol := a.register("alice"), b.register("bob"), c.register("carol")
	room, err := alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", Name: "room", Children: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 16)
	room.OnChild(func(c syncher.ChildChange) { said <- string(c.Child.Value) })
	atBob, err := bob.Objects().Observe(t.Context(), room.URL())
	if err != nil {
		t.Fatal(err)
	}
	b.live(a)
	if _, err := atBob.AddChild(t.Context(), "chat", "hi"); err != nil {
		t.Fatal(err)
	}
	if got := next(t, said); got != `"hi"` {
		t.Errorf("alice hears %s", got)
	}
	atCarol, err := carol.Objects().Observe(t.Context(), room.URL())
	if err != nil {
		t.Fatal(err)
	}
	if len(atCarol.Children()) != 1 {
		t.Errorf("carol, who comes later, finds %+v", atCarol.Children())
	}
	id, err := atCarol.AddChild(t.Context(), "chat", "ho")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	for change, err := (syncher.Change{}), error(nil); change.Child() != id; {
		if change, err = atBob.Next(ctx); err != nil {
			t.Fatalf("bob does not hear carol: %v", err)
		}
	}

	meta, value, err := bob.Objects().Read(t.Context(), room.URL())
	if err != nil || meta.Reporter != alice.URL() || len(value) == 0 {
		t.Errorf("bob reads %+v %s %v", meta, value, err)
	}
	if err := atCarol.Close(t.Context()); err != nil {
		t.Error(err)
	}
	room.Allow(func(message.URL) bool { return false })
	var refused *message.ResponseError
	if _, _, err := carol.Objects().Read(t.Context(), room.URL()); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("carol reads: %v", err)
	}
	deadline := time.Now().Add(waitTime)
	for { // until alice's runtime knows that carol observes no more
		_, err := atCarol.AddChild(t.Context(), "chat", "more")
		if errors.As(err, &refused) && refused.Code == 403 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("carol says more: %v", err)
		}
	}
}
