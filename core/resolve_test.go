package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// answer answers every request.
func answer(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, "here") }

// Many messages at once to an address that this runtime does not know cause one read at the Domain Registry.
func TestOneLookUpForManyMessages(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	const senders = 20
	from := make([]*hyperty.Hyperty, senders)
	for i := range from {
		from[i] = a.register(fmt.Sprintf("a%d", i))
	}
	bob := b.register("bob")
	bob.Handle(answer)
	all := func(to message.URL) []error {
		errs := make([]error, 10*senders)
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				<-begin
				_, errs[i] = from[i%senders].Request(t.Context(), to, message.Read, nil)
			})
		}
		close(begin)
		wg.Wait()
		return errs
	}
	a.forget()
	for _, err := range all(bob.URL()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := a.lookups(); n != 1 {
		t.Errorf("%d look-ups for one address", n)
	}
	if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Forward && e.To == bob.URL() }); n != 10*senders {
		t.Errorf("%d messages left", n)
	}
	a.forget()
	for _, err := range all("hyperty://example.com/nobody") {
		var refused *message.ResponseError
		if !errors.As(err, &refused) || refused.Code != message.CodeNotFound {
			t.Fatalf("a request to nobody: %v", err)
		}
	}
	if n := a.lookups(); n < 1 || n > 2 { // the refusal is remembered for a second
		t.Errorf("%d look-ups for an address that nobody has", n)
	}
}
