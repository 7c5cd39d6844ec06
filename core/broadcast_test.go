package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// A message goes to many at once, here and at another runtime, over the socket and in the process: each of its results is what Track says,
// also of receivers that are slow, closed or nobody's.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, change: served})
	outside := application(t, b)
	var list []message.URL
	got := make(chan message.URL, 100)
	for i := range 30 {
		at := []hyperty.Runtime{a, b, outside}[i%3]
		h, err := at.Register(t.Context(), hyperty.Registration{Name: fmt.Sprintf("h%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		h.Handle(func(context.Context, hyperty.Received) { got <- h.URL() })
		list = append(list, h.URL())
	}
	gone := b.application("gone")
	if err := gone.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	list = append(list, gone.URL(), "hyperty://example.com/nobody", "hyperty://")
	for name, alice := range map[string]*hyperty.Hyperty{"in process": a.register("alice"), "over the socket": a.application("outside")} {
		ctx, cancel := context.WithTimeout(t.Context(), waitTime)
		results, err := alice.Broadcast(ctx, list, message.Update, "hello")
		cancel()
		if err != nil || len(got) != 30 {
			t.Fatalf("%s: %v, %d handled", name, err, len(got))
		}
		for i, r := range results {
			want := hyperty.Delivered
			if i >= 30 {
				want = hyperty.Refused
			} else {
				<-got
			}
			if r.To != list[i] || r.Outcome.State != want || (r.Err == nil) != (want == hyperty.Delivered) {
				t.Errorf("%s: %+v, want %s", name, r, want)
			}
		}
		slow := b.application("slow-" + name[:2])
		ctx, cancel = context.WithCancel(t.Context())
		slow.Handle(func(own context.Context, _ hyperty.Received) { // it has the message when the sender's time is over
			cancel()
			<-own.Done()
		})
		results, err = alice.Broadcast(ctx, []message.URL{slow.URL()}, message.Update, "hello")
		if !errors.Is(err, context.Canceled) || results[0].Outcome.State != hyperty.Queued || !errors.Is(results[0].Err, context.Canceled) {
			t.Errorf("%s: a slow receiver: %v, %+v", name, err, results)
		}
	}
}
