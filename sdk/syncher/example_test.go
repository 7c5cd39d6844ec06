package syncher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A data object that alice reports and bob, in another runtime, observes: his copy follows what she does.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, bob, end := pair(ctx, "alice", "bob")
	defer end()

	room, err := alice.Objects().Create(ctx, syncher.Object{
		Scheme: "comm", Name: "room", Data: message.Encode(map[string]any{"topic": "none"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	copied, err := bob.Objects().Observe(ctx, room.URL())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("bob has", string(copied.Value()))

	err = errors.Join(
		room.Set(ctx, "topic", "lunch"),
		room.Set(ctx, "place.city", "Lisbon"),
		room.Add(ctx, "guests", "carol"),
		room.Delete(ctx),
	)
	if err != nil {
		log.Fatal(err)
	}
	for {
		change, err := copied.Next(ctx)
		if errors.Is(err, io.EOF) || change.Deleted {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.Attribute, "is", string(change.Value))
	}
	fmt.Println("bob had", string(copied.Value()))
	// Output:
	// bob has {"topic":"none"}
	// topic is "lunch"
	// place.city is "Lisbon"
	// guests.0 is "carol"
	// bob had {"guests":["carol"],"place":{"city":"Lisbon"},"topic":"lunch"}
}

// Whoever observes an object may make child objects under the names that it has for them.
func ExampleObserver_AddChild() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, bob, end := pair(ctx, "host", "guest")
	defer end()
	chat, err := alice.Objects().Create(ctx, syncher.Object{Scheme: "comm", Name: "chat", Children: []string{"messages"}})
	if err != nil {
		log.Fatal(err)
	}
	said := make(chan json.RawMessage, 1)
	chat.OnChild(func(c syncher.ChildChange) { said <- c.Child.Value })

	copied, err := bob.Objects().Observe(ctx, chat.URL())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := copied.AddChild(ctx, "messages", "hello from bob"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(<-said))
	// Output: "hello from bob"
}

// pair is one hyperty at alice's runtime, and one at bob's; end closes them.
func pair(ctx context.Context, atAlice, atBob string) (a, b *hyperty.Hyperty, end func()) {
	return pairAt(ctx, runtimes.Socket, atAlice, atBob)
}

// pairAt is pair at the runtimes with those sockets.
func pairAt(ctx context.Context, socket func(runtime string) string, atAlice, atBob string) (a, b *hyperty.Hyperty, end func()) {
	var pair [2]*hyperty.Hyperty
	var clients [2]*hyperty.Client
	for i, name := range []string{atAlice, atBob} {
		var err error
		if clients[i], err = hyperty.Dial(ctx, hyperty.Options{Socket: socket([]string{"alice", "bob"}[i]), Timeout: time.Minute}); err != nil {
			log.Fatal(err)
		}
		if pair[i], err = clients[i].Register(ctx, hyperty.Registration{Name: name}); err != nil {
			log.Fatal(err)
		}
	}
	return pair[0], pair[1], func() {
		for _, c := range clients {
			if err := c.Close(ctx); err != nil {
				log.Print(err)
			}
		}
	}
}
