package core_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// gated is a handler that notes each message, by its number and its sender, when it is let go on.
type gated struct {
	gate    chan struct{}
	mu      sync.Mutex
	handled map[message.ID]int
}

func newGated() *gated { return &gated{gate: make(chan struct{}), handled: map[message.ID]int{}} }

func (g *gated) take(ctx context.Context, m hyperty.Received) {
	if m.Type == message.Read {
		_ = m.Answer(ctx, "here")
		return
	}
	<-g.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handled[m.ID]++
}

// judge compares what senders were told with what was handled.
func (g *gated) judge(t *testing.T, list []*hyperty.Delivery) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range list {
		n := g.handled[d.ID]
		switch o := d.Outcome(); {
		case n > 1:
			t.Errorf("%s was handled %d times", d.ID, n)
		case o.State == hyperty.Delivered && n == 0, o.State == hyperty.Refused && n > 0:
			t.Errorf("%s was handled %d times: %v", d.ID, n, o)
		}
	}
}

// A receiver's runtime is killed, or ended, while messages wait for its application, which lives on. The sender is told of each message,
// once, when the runtime is back at the latest; no message is handled twice. The application goes on by itself.
func TestTheReceiversRuntimeIsKilled(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "example.com")
			a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
			dir := shortDir(t)
			p := startProcess(t, dir, node, "plugins: {use: []}")
			receiver := dialHyperty(t, p.socket, "receiver")
			got := newGated()
			receiver.Handle(got.take)
			m := mail(t, a.application("alice"), receiver.URL(), 300)
			for range 29 {
				got.gate <- struct{}{}
			}
			a.until("all have left", waitTime, func() bool {
				s := a.status()
				return len(s.Sessions) == 1 && s.Sessions[0].Unacknowledged == 0 && states(m.list)[hyperty.Delivered] == 29
			})
			p.end(sig)
			p = startProcess(t, dir, node, "plugins: {use: []}")
			close(got.gate)
			back := time.Now()
			delivered := m.check(t, a)
			t.Logf("%v after its return: %v", time.Since(back), states(m.list))
			if delivered < 29 || delivered == len(m.list) {
				t.Errorf("%d are delivered", delivered)
			}
			a.until("it answers again", waitTime, func() bool { // what is sent to the life before is in doubt
				_, err := m.Request(t.Context(), receiver.URL(), message.Read, nil)
				return err == nil
			})
			again := mail(t, m.Hyperty, receiver.URL(), 10)
			if n := again.check(t, a); n != len(again.list) {
				t.Errorf("after its return: %v", states(again.list))
			}
			got.judge(t, append(m.list, again.list...))
			p.end(syscall.SIGTERM)
		})
	}
}

// A receiver's runtime is killed and stays away: the message's time ends.
func TestTheReceiversRuntimeStaysAway(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: func(c *core.Config) {
		served(c)
		core.SetUnacked(c, 2*time.Second)
	}})
	p := startProcess(t, shortDir(t), node, "plugins: {use: []}")
	receiver := dialHyperty(t, p.socket, "receiver")
	got := newGated()
	close(got.gate)
	receiver.Handle(got.take)
	alice := a.application("alice")
	if _, err := alice.Request(t.Context(), receiver.URL(), message.Read, nil); err != nil {
		t.Fatal(err)
	}
	p.end(syscall.SIGKILL)
	list := tracks(t, alice, receiver.URL(), 10)
	for _, d := range list {
		if o, err := await(d); err != nil || o.State != hyperty.Expired && (o.State != hyperty.Refused || o.Code != message.CodeTimeout) {
			t.Errorf("%v, %v", o, err)
		}
	}
	t.Log(states(list), list[0].Outcome())
	got.judge(t, list)
}

// A sender's runtime is killed, or ended, while messages are on their way. Its application is told so at once, and of each message that was
// not settled that it is in doubt, once. What it posts meanwhile waits, and goes out when the runtime is back.
func TestTheSendersRuntimeIsKilled(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "example.com")
			a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
			receiver := a.application("receiver")
			got := newGated()
			receiver.Handle(got.take)
			dir := shortDir(t)
			p := startProcess(t, dir, node, "plugins: {use: []}")
			connected := make(chan bool, 16)
			client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: p.socket, OnState: func(s hyperty.State) { connected <- s.Connected }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close(context.Background()) })
			if up := <-connected; !up {
				t.Error("not connected by Dial")
			}
			alice, err := client.Register(t.Context(), hyperty.Registration{Name: "alice"})
			if err != nil {
				t.Fatal(err)
			}
			list := tracks(t, alice, receiver.URL(), 300)
			for range 29 {
				got.gate <- struct{}{}
			}
			a.until("some are delivered", waitTime, func() bool { return states(list)[hyperty.Delivered] == 29 })
			p.end(sig)
			ended := time.Now()
			if up := <-connected; up {
				t.Error("connected, and it has ended")
			}
			count := settled(t, list, []int{message.CodeUnavailable, message.CodeTimeout})
			took := time.Since(ended)
			t.Logf("%v after the end: %v", took, count)
			if count[hyperty.Delivered] != 29 || count[hyperty.Expired] > 0 || took > 5*time.Second {
				t.Errorf("%v after the end: %v", took, count)
			}
			posted := make(chan error, 1)
			var waited *hyperty.Delivery
			go func() {
				var err error
				waited, err = alice.SendTracked(t.Context(), receiver.URL(), message.Update, nil)
				posted <- err
			}()
			close(got.gate)
			p = startProcess(t, dir, node, "plugins: {use: []}")
			if up := <-connected; !up {
				t.Error("not connected, and it is back")
			}
			if err := <-posted; err != nil {
				t.Fatal(err)
			}
			if o, err := await(waited); err != nil || o.State != hyperty.Delivered {
				t.Errorf("posted meanwhile: %v, %v", o, err)
			}
			got.judge(t, append(list, waited))
			p.end(syscall.SIGTERM)
		})
	}
}

// A request that waits at an application that is killed is answered at once with an error.
func TestRequestsAtAnApplicationThatIsKilled(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, policy: "never", change: served})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, policy: "never", change: served})
	to, kill := b.deaf()
	asked := make(chan error, 2)
	for _, r := range []*running{a, b} {
		h := r.application("asker-" + r.dir[len(r.dir)-4:])
		go func() {
			_, err := h.Request(t.Context(), to, message.Read, nil)
			asked <- err
		}()
	}
	b.until("both have come", waitTime, func() bool {
		return b.count(func(e trace.Event) bool { return e.Kind == trace.Deliver && e.To == to && e.Type == message.Read }) >= 2
	})
	kill()
	began := time.Now()
	for range 2 {
		err := <-asked
		var refused *message.ResponseError
		if !errors.As(err, &refused) || time.Since(began) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		t.Log(err)
	}
}
