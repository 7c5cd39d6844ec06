package hyperty_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// Two applications in two runtimes: one says hello, the other answers. In an application of your own Options.Socket is left out
// where the runtime has its usual one.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	runtime, err := hyperty.Dial(ctx, hyperty.Options{Socket: runtimes.Socket("bob"), Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer runtime.Close(ctx)
	bob, err := runtime.Register(ctx, hyperty.Registration{Name: "bob"}) // hyperty://example.com/bob
	if err != nil {
		log.Fatal(err)
	}
	bob.Handle(func(ctx context.Context, m hyperty.Received) {
		fmt.Println(m.From, "says", m.Text())
		_ = m.Answer(ctx, "thank you")
	})

	other, err := hyperty.Dial(ctx, hyperty.Options{Socket: runtimes.Socket("alice"), Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close(ctx)
	alice, err := other.Register(ctx, hyperty.Registration{Name: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := alice.Request(ctx, "hyperty://example.com/bob", message.Read, "hello")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.From, "answers", string(answer.Value))
	// Output:
	// hyperty://example.com/alice says hello
	// hyperty://example.com/bob answers "thank you"
}

// A message whose sender learns what becomes of it.
func ExampleHyperty_SendTracked() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	sender, receiver, end := pair(ctx, "sender", "receiver")
	defer end()
	receiver.Handle(func(context.Context, hyperty.Received) {})

	for _, to := range []message.URL{receiver.URL(), "hyperty://example.com/nobody"} {
		delivery, err := sender.SendTracked(ctx, to, message.Update, "are you there?")
		if err != nil {
			log.Fatal(err)
		}
		outcome, err := delivery.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(to, outcome.State, outcome.Code)
	}
	// Output:
	// hyperty://example.com/receiver delivered 0
	// hyperty://example.com/nobody refused 404
}

// One message to several addresses.
func ExampleHyperty_Broadcast() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	caller, callee, end := pair(ctx, "caller", "callee")
	defer end()
	callee.Handle(func(context.Context, hyperty.Received) {})

	results, err := caller.Broadcast(ctx, []message.URL{callee.URL(), "hyperty://example.com/nobody"}, message.Update, "the kitchen is closed")
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Println(r.To, r.Outcome.State, r.Outcome.Code)
	}
	// Output:
	// hyperty://example.com/callee delivered 0
	// hyperty://example.com/nobody refused 404
}

// A message that is sent without waiting, to an address that nobody has: the refusal comes as a response.
func ExampleHyperty_HandleResponses() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	lonely, _, end := pair(ctx, "lonely", "other")
	defer end()
	refused := make(chan error, 1)
	lonely.HandleResponses(func(_ context.Context, m message.Message) {
		_, err := m.OK()
		refused <- err
	})

	if err := lonely.Send(ctx, "hyperty://example.com/nobody", "hello?"); err != nil {
		log.Fatal(err)
	}
	fmt.Println((<-refused).(*message.ResponseError).Code)
	// Output: 404
}

// Messages are received one by one, in the order of sending.
func ExampleHyperty_Receive() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	writer, reader, end := pair(ctx, "writer", "reader")
	defer end()

	for n := range 3 {
		if err := writer.Send(ctx, reader.URL(), map[string]int{"line": n}); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		m, err := reader.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		var body struct{ Line int }
		if err := m.Decode(&body); err != nil {
			log.Fatal(err)
		}
		fmt.Println("line", body.Line)
	}
	// Output:
	// line 0
	// line 1
	// line 2
}

// pair is one hyperty at alice's runtime, and one at bob's; end closes them.
func pair(ctx context.Context, atAlice, atBob string) (a, b *hyperty.Hyperty, end func()) {
	return pairOf(ctx, hyperty.Registration{Name: atAlice}, hyperty.Registration{Name: atBob})
}

// pairOf is pair with what is registered.
func pairOf(ctx context.Context, atAlice, atBob hyperty.Registration) (a, b *hyperty.Hyperty, end func()) {
	var pair [2]*hyperty.Hyperty
	var clients [2]*hyperty.Client
	for i, registration := range []hyperty.Registration{atAlice, atBob} {
		var err error
		if clients[i], err = hyperty.Dial(ctx, hyperty.Options{Socket: runtimes.Socket([]string{"alice", "bob"}[i]), Timeout: time.Minute}); err != nil {
			log.Fatal(err)
		}
		if pair[i], err = clients[i].Register(ctx, registration); err != nil {
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

// A service with types of its own, which tells how far it is; a request that does not fit it is refused.
func ExampleHandleJSON() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	asker, adder, end := pair(ctx, "asker", "adder")
	defer end()
	type sum struct{ A, B int }
	hyperty.HandleJSON(adder, func(ctx context.Context, in sum, m hyperty.Received) error {
		if err := m.Progress(ctx, "adding"); err != nil {
			return err
		}
		return m.Answer(ctx, in.A+in.B)
	})

	total, err := hyperty.RequestJSON[int](ctx, asker, adder.URL(), message.Read, sum{1, 2})
	fmt.Println(total, err)
	_, err = hyperty.RequestJSON[int](ctx, asker, adder.URL(), message.Read, map[string]string{"A": "one"})
	fmt.Println(err)
	_, err = asker.RequestProgress(ctx, adder.URL(), message.Read, sum{3, 4}, func(r message.Result) { fmt.Println(r.Code, string(r.Value)) })
	fmt.Println(err)
	// Output:
	// 3 <nil>
	// hyperty://example.com/adder answered 400: the field "A": string does not fit
	// 183 "adding"
	// <nil>
}
