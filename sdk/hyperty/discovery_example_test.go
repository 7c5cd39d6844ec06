package hyperty_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
)

// Whoever knows no address finds hyperties by what they do.
func ExampleHyperty_Find() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, bob, end := pairOf(ctx, hyperty.Registration{Name: "finder"}, hyperty.Registration{Name: "chatter", Resources: []string{"small-talk"}})
	defer end()

	findings, err := alice.Find(ctx, hyperty.Query{Resource: "small-talk"})
	if err != nil {
		log.Fatal(err)
	}
	for _, found := range findings.Found {
		fmt.Println(found.URL, found.State, found.Runtime == bob.Runtime())
	}
	// Output:
	// hyperty://example.com/chatter registered true
}

// An application is told when another one comes and goes.
func ExampleHyperty_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, bob, end := pair(ctx, "watcher", "watched")
	defer end()

	for presence, err := range alice.Watch(ctx, bob.URL()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(presence.Address, presence.State)
		if presence.State == hyperty.Away {
			break
		}
		if err := bob.Close(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// hyperty://example.com/watched registered
	// hyperty://example.com/watched away
}

// An application is told how its runtime reaches others.
func ExampleHyperty_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, _, end := pair(ctx, "observer", "other")
	defer end()

	for event, err := range alice.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if event.Kind == hyperty.NodeBack {
			fmt.Println("the Message Node of", event.Domain, "is there")
			break
		}
	}
	// Output:
	// the Message Node of example.com is there
}
