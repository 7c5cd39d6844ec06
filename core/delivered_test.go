package core_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// tracks sends so many tracked messages.
func tracks(t *testing.T, from *hyperty.Hyperty, to message.URL, count int) (list []*hyperty.Delivery) {
	t.Helper()
	for n := range count {
		d, err := from.SendTracked(t.Context(), to, message.Update, map[string]int{"n": n})
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		list = append(list, d)
	}
	return list
}

// states counts the present states of deliveries.
func states(list []*hyperty.Delivery) map[hyperty.DeliveryState]int {
	count := map[hyperty.DeliveryState]int{}
	for _, d := range list {
		count[d.Outcome().State]++
	}
	return count
}

// settled waits for the final states and counts them; of what was refused it wants one of the codes.
func settled(t *testing.T, list []*hyperty.Delivery, codes []int) map[hyperty.DeliveryState]int {
	t.Helper()
	for _, d := range list {
		o, err := await(d)
		if err != nil {
			t.Fatalf("nothing is heard of %s: %v", d.ID, err)
		}
		if o.State == hyperty.Refused && !slices.Contains(codes, o.Code) {
			t.Errorf("%s: %v", d.ID, o)
		}
	}
	return states(list)
}

// closed are the codes of what is refused because its receiver has closed: a sender in another runtime may hear that the name is away, of
// what has not left that runtime.
func closed(sender *running, receiver *hyperty.Hyperty) []int {
	if receiver.Runtime() == sender.URL() {
		return []int{message.CodeNotFound}
	}
	return []int{message.CodeNotFound, message.CodeTimeout}
}

// places are where the receiver and the senders are: a sender in the receiver's runtime and one behind another runtime's socket, a
// receiver behind the socket or in the runtime's process.
func places(t *testing.T, test func(t *testing.T, r *running, receiver, sender *hyperty.Hyperty)) {
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
	n := 0
	for what, receiver := range map[string]func(name string) *hyperty.Hyperty{
		"socket":  func(name string) *hyperty.Hyperty { return b.application(name) },
		"process": func(name string) *hyperty.Hyperty { return b.register(name) },
	} {
		for where, r := range map[string]*running{"remote": a, "here": b} {
			n++
			t.Run(what+", from "+where, func(t *testing.T) {
				test(t, r, receiver(fmt.Sprintf("receiver%d", n)), r.application(fmt.Sprintf("sender%d", n)))
			})
		}
	}
}

// A message is delivered when its handler has returned, and not before; what waits when the application closes is refused with 404,
// at once, and the senders' requests are answered.
func TestDeliveredMeansHandled(t *testing.T) { places(t, deliveredMeansHandled) }

// The same of an application that has data objects: they are told of at its address too.
func TestDeliveredMeansHandledBesideObjects(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, sender *hyperty.Hyperty) {
		receiver.Objects()
		deliveredMeansHandled(t, r, receiver, sender)
	})
}

func deliveredMeansHandled(t *testing.T, r *running, receiver, sender *hyperty.Hyperty) {
	var handled atomic.Int32
	gate := make(chan struct{})
	receiver.Handle(func(ctx context.Context, _ hyperty.Received) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		handled.Add(1)
	})
	list := tracks(t, sender, receiver.URL(), 300)
	const some = 29
	for range some {
		gate <- struct{}{}
	}
	r.until("so many are delivered", waitTime, func() bool { return states(list)[hyperty.Delivered] == some })
	if n := handled.Load(); n != some {
		t.Errorf("%d are delivered, %d handled", some, n)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := sender.Request(t.Context(), receiver.URL(), message.Read, nil)
		asked <- err
	}()
	if err := receiver.Close(t.Context()); err != nil {
		t.Error(err)
	}
	began := time.Now()
	count := settled(t, list, closed(r, receiver))
	if n := int(handled.Load()); count[hyperty.Delivered] != n || count[hyperty.Refused] != len(list)-n {
		t.Errorf("%d were handled: %v", n, count)
	}
	if count := settled(t, tracks(t, sender, receiver.URL(), 3), closed(r, receiver)); count[hyperty.Refused] != 3 {
		t.Errorf("afterwards: %v", count)
	}
	if err := <-asked; err == nil {
		t.Error("a request to an application that has closed is answered")
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// An application that has no handler is delivered nothing until it takes a message: Receive gives it, and Done, the next Receive or
// Close says so. What a handler defers is delivered when it is done, in any order, and others are meanwhile.
func TestDeliveredMeansDone(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, sender *hyperty.Hyperty) {
		list := tracks(t, sender, receiver.URL(), 6)
		reach := func(n int) {
			t.Helper()
			r.until(fmt.Sprint(n, " are delivered"), waitTime, func() bool { return states(list)[hyperty.Delivered] >= n })
			if count := states(list); count[hyperty.Delivered] != n {
				t.Errorf("want %d delivered: %v", n, count)
			}
		}
		receive := func() hyperty.Received {
			t.Helper()
			m, err := receiver.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		receive()
		if count := states(list); count[hyperty.Delivered] != 0 {
			t.Errorf("before it is done: %v", count)
		}
		second := receive()
		reach(1)
		second.Defer()
		third := receive()
		third.Done()
		third.Done()
		if o, err := await(list[2]); err != nil || o.State != hyperty.Delivered {
			t.Error(o, err)
		}
		reach(2)
		receive()
		calls := 0
		deferred := make(chan hyperty.Received, 1)
		receiver.Handle(func(_ context.Context, m hyperty.Received) {
			if calls++; calls == 1 {
				m.Defer()
				deferred <- m
			}
		})
		fifth := <-deferred
		if o, err := await(list[5]); err != nil || o.State != hyperty.Delivered {
			t.Error(o, err)
		}
		reach(3)
		fifth.Done()
		reach(4)
		if err := receiver.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if count := settled(t, list, nil); count[hyperty.Delivered] != 5 || list[1].Outcome().State != hyperty.InDoubt {
			t.Errorf("at the end: %v, %v", count, list[1].Outcome())
		}
	})
}

// Close keeps its time where a handler does not return: the error says so, what waits is refused, and the name is free. The one message
// that the handler has is in doubt, or delivered if it returns after all.
func TestCloseWithAHandlerThatDoesNotReturn(t *testing.T) {
	places(t, func(t *testing.T, r *running, receiver, sender *hyperty.Hyperty) {
		gate, busy := make(chan struct{}), make(chan struct{})
		defer close(gate)
		receiver.Handle(func(context.Context, hyperty.Received) {
			close(busy)
			<-gate
		})
		list := tracks(t, sender, receiver.URL(), 100)
		<-busy
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		err := receiver.Close(ctx)
		if took := time.Since(began); err == nil || took > 5*time.Second {
			t.Errorf("closed after %v: %v", took, err)
		}
		rest := settled(t, list[1:], closed(r, receiver))
		if rest[hyperty.Refused] != len(list)-1 {
			t.Errorf("of what waited: %v", rest)
		}
		if o := list[0].Outcome(); o.State != hyperty.InDoubt && o.State != hyperty.Queued {
			t.Errorf("of what the handler has: %v", o)
		}
	})
}
