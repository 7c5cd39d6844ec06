package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	home   message.URL = "hyperty-runtime://example.com/home"
	away   message.URL = "hyperty-runtime://example.com/away"
	alice  message.URL = "hyperty://example.com/alice"
	bob    message.URL = "hyperty://example.com/bob"
	nobody message.URL = "hyperty://example.com/nobody"
)

// outside is everything around the bus: bob is at the runtime away, nobody has nobody's address, and home's components own
// alice.
type outside struct {
	mu    sync.Mutex
	sent  []message.Message
	ways  []bus.Route
	block chan struct{}
}

func (o *outside) Resolve(_ context.Context, m message.Message) (bus.Route, error) {
	if m.To == nobody {
		return bus.Route{}, &message.ResponseError{Code: message.CodeNotFound, From: home, Description: "nobody knows it"}
	}
	return bus.Route{Stub: home + "/protostub/1", Door: home + "/protostub/1", Remote: away, Why: "test"}, nil
}

func (o *outside) TryResolve(m message.Message) (bus.Route, error) {
	return o.Resolve(context.Background(), m)
}

func (o *outside) TryForward(r bus.Route, m message.Message, receipt minibus.Receipt) error {
	if o.block != nil {
		return message.ErrWouldBlock
	}
	return o.Forward(context.Background(), r, m, receipt)
}

func (o *outside) TryVerify(remote, from message.URL) error {
	return o.Verify(context.Background(), remote, from)
}

func (o *outside) Forward(_ context.Context, r bus.Route, m message.Message, _ minibus.Receipt) error {
	if o.block != nil {
		<-o.block
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.ways = append(o.sent, m), append(o.ways, r)
	return nil
}

func (o *outside) VerifyLocal(owner, from message.URL) error {
	if from.Within(owner) {
		return nil
	}
	return fmt.Errorf("%s does not belong to %s", from, owner)
}

func (o *outside) Verify(_ context.Context, remote, from message.URL) error {
	if from == bob || from.Within(remote) {
		return nil
	}
	return fmt.Errorf("%s does not run on %s", from, remote)
}

func open(o *outside) *bus.MessageBus {
	b := bus.New(bus.Options{Runtime: home})
	b.Connect(bus.Outside{Resolver: o, Forwarder: o, Authority: o})
	return b
}

func code(t *testing.T, m message.Message) int {
	t.Helper()
	r, err := m.Result()
	if err != nil {
		t.Fatal(err)
	}
	return r.Code
}

func TestLocalListenersThenResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		var got atomic.Int32
		for range 2 { // several listeners for one address
			b.Listen(alice, func(context.Context, message.Message) { got.Add(1) })
		}
		post := func(to message.URL) {
			if err := b.Post(t.Context(), message.Message{Type: message.Create, From: home + "/registry", To: to}); err != nil {
				t.Fatal(err)
			}
		}
		post(alice)
		post(bob)
		synctest.Wait()
		if got.Load() != 2 {
			t.Errorf("%d deliveries to alice's two listeners", got.Load())
		}
		if len(o.sent) != 1 || o.sent[0].To != bob || o.ways[0].Remote != away {
			t.Errorf("sent out: %v by %v", o.sent, o.ways)
		}
	})
}

func TestNobodyKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		for _, to := range []message.URL{nobody, home + "/no-such-component"} {
			m, err := b.Request(t.Context(), message.Message{Type: message.Read, From: home + "/registry", To: to})
			if err != nil || code(t, m) != message.CodeNotFound {
				t.Errorf("%s: %v, %v", to, m, err)
			}
		}
		// A publication without subscribers is not an error, and a response is never answered.
		heard := 0
		b.Listen(home+"/registry", func(context.Context, message.Message) { heard++ })
		_ = b.Post(t.Context(), message.Message{Type: message.Update, From: home + "/registry", To: home + "/registry/changes"})
		_ = b.Post(t.Context(), message.Message{Type: message.Response, From: home + "/registry", To: nobody, Body: []byte(`{"code":200}`)})
		synctest.Wait()
		if heard != 0 || len(o.sent) != 0 {
			t.Errorf("%d answers heard, %v sent", heard, o.sent)
		}
	})
}

func TestForgedFromIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		heard := 0
		b.Listen(alice, func(_ context.Context, m message.Message) { heard++ })
		err := b.From(t.Context(), alice, message.Message{Type: message.Create, From: bob, To: alice})
		var refused *message.ResponseError
		if !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
			t.Errorf("a component posted under another's from: %v", err)
		}
		b.Arrive(t.Context(), away, "", message.Message{ID: message.NumberID(7), Type: message.Create, From: alice, To: alice})
		b.Arrive(t.Context(), away, "", message.Message{ID: message.NumberID(8), Type: message.Create, From: bob, To: alice})
		synctest.Wait()
		if heard != 1 {
			t.Errorf("alice heard %d messages, want only bob's own", heard)
		}
		if len(o.sent) != 1 || code(t, o.sent[0]) != message.CodeForbidden || o.sent[0].ID != message.NumberID(7) {
			t.Errorf("answered %v", o.sent)
		}
	})
}

func TestAMessageCrossesAStubOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		ask := func(via ...message.URL) (message.Message, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return b.Request(ctx, message.Message{Type: message.Read, From: home + "/registry", To: bob, Via: via})
		}
		if m, err := ask(away+"/protostub/1", "runtime://example.com/home/protostub/1"); err != nil || code(t, m) != message.CodeError {
			t.Errorf("a message that came through the stub: %v %v", m, err)
		}
		if len(o.sent) != 0 {
			t.Errorf("it was sent: %v", o.sent)
		}
		if _, err := ask(away + "/protostub/1"); !errors.Is(err, context.DeadlineExceeded) || len(o.sent) != 1 {
			t.Errorf("a message that came through another stub: %v, sent %v", err, o.sent)
		}
	})
}

func TestArriveIsNeverSentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		b.Arrive(t.Context(), away, "", message.Message{ID: message.NumberID(1), Type: message.Create, From: bob, To: "hyperty://example.com/carol"})
		b.Arrive(t.Context(), away, "", message.Message{ID: message.NumberID(2), Type: message.Response, From: bob, To: alice, Body: []byte(`{"code":200}`)})
		b.Arrive(t.Context(), away, "", message.Message{ID: message.NumberID(3), Type: message.Create, From: bob, To: alice, Body: []byte(`[]`)})
		synctest.Wait()
		if len(o.sent) != 2 || code(t, o.sent[0]) != message.CodeNotFound || o.sent[0].To != bob || o.ways[0].Remote != away ||
			code(t, o.sent[1]) != message.CodeBadRequest {
			t.Errorf("sent %v by %v", o.sent, o.ways)
		}
	})
}

func TestOrderPerSenderAndReceiver(t *testing.T) {
	b := open(&outside{})
	defer b.Close()
	const senders, each = 8, 500
	var wg sync.WaitGroup
	next := map[message.URL]uint64{}
	done := make(chan struct{})
	total := 0
	b.Listen(alice, func(_ context.Context, m message.Message) {
		if next[m.From]++; m.ID != message.NumberID(next[m.From]) {
			t.Errorf("%s: message %v came as number %d", m.From, m.ID, next[m.From])
		}
		if total++; total == senders*each {
			close(done)
		}
	})
	for s := range senders {
		wg.Go(func() {
			from := home.Join("sender", fmt.Sprint(s))
			for n := range each {
				_ = b.Post(t.Context(), message.Message{ID: message.NumberID(uint64(n + 1)), Type: message.Update, From: from, To: alice})
			}
		})
	}
	wg.Wait()
	<-done
}

// picky says that addresses of the domain away belong to the runtime away, without waiting.
type picky struct {
	outside
	asked atomic.Int32
}

func (p *picky) TryVerify(remote, from message.URL) error {
	return p.Verify(context.Background(), remote, from)
}

func (p *picky) Verify(_ context.Context, remote, from message.URL) error {
	p.asked.Add(1)
	if remote != away {
		return fmt.Errorf("%s is not %s's", from, remote)
	}
	return nil
}

// Messages that are tried together are each taken as if they were tried alone, as far as that does not wait.
func TestTryAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub trace.Hub
		b, out := bus.New(bus.Options{Runtime: home, Inbox: 100, Trace: &hub}), &picky{}
		defer b.Close()
		b.Connect(bus.Outside{Resolver: out, Forwarder: out, Authority: out})
		got := 0
		run := func(kind message.Type, n int) (list []minibus.Delivery) {
			for i := range n {
				list = append(list, minibus.Delivery{Message: message.Message{ID: message.NumberID(uint64(i) + 1), Type: kind, From: bob, To: alice, Body: []byte(`{}`)}})
			}
			return list
		}
		want := func(what string, n, taken, came int, codes ...int) {
			t.Helper()
			synctest.Wait()
			answers := []int{}
			for _, m := range out.sent {
				answers = append(answers, code(t, m))
			}
			if n != taken || got != came || !slices.Equal(answers, codes) {
				t.Errorf("%s: %d taken, %d came, answers %v; want %d, %d and %v", what, n, got, answers, taken, came, codes)
			}
			got, out.sent = 0, nil
		}
		want("where nobody listens", b.TryAccept(away, run(message.Update, 3)), 3, 0, 404, 404, 404)
		stop := b.Listen(alice, func(context.Context, message.Message) { got++ })
		out.asked.Store(0)
		want("a run", b.TryAccept(away, run(message.Update, 30)), 30, 30)
		if n := out.asked.Load(); n != 1 {
			t.Errorf("asked %d times whose the address is", n)
		}
		want("more than there is room for", b.TryAccept(away, run(message.Update, 130)), 100, 100)
		want("a runtime whose address it is not", b.TryAccept(home+"2", run(message.Update, 2)), 2, 0, 403, 403)
		want("responses", b.TryAccept(away, run(message.Response, 3)), 3, 3)
		bad := run(message.Update, 30)
		bad[20].Message.Body = []byte(`[]`)
		want("what is no message", b.TryAccept(away, bad), 30, 29, 400)
		out.block = make(chan struct{})
		want("what is no message, while nobody can be told", b.TryAccept(away, bad), 20, 20)
		close(out.block)
		out.block = nil
		var seen []string
		end := hub.Watch(func(e trace.Event) { seen = append(seen, fmt.Sprint(e.Kind, e.ID)) }, true)
		want("while somebody watches", b.TryAccept(away, run(message.Update, 3)), 3, 3)
		end()
		if !slices.Equal(seen, []string{"deliver1", "deliver2", "deliver3"}) {
			t.Errorf("seen: %v", seen)
		}
		stop()
		want("when the listener has gone", b.TryAccept(away, run(message.Update, 1)), 1, 0, 404)
	})
}

// A response that another runtime, or another domain's node, sends in its own name does not answer a request to somebody
// else, whatever its ID.
func TestStrangersAnswerNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outside
		b := open(&o)
		defer b.Close()
		const registry = home + "/registry"
		asked := message.DomainRegistryAddress("example.com")
		done := make(chan message.Message, 1)
		go func() {
			m, _ := b.Request(t.Context(), message.Message{Type: message.Read, From: registry, To: asked})
			done <- m
		}()
		synctest.Wait()
		request := o.sent[0]
		for _, from := range []message.URL{away, away + "/registry", bob} {
			m := request.Respond(message.CodeOK, "a stranger's")
			m.From = from
			b.Arrive(t.Context(), away, away, m)
		}
		m := request.Respond(message.CodeOK, "another domain's")
		m.From = message.DomainRegistryAddress("evil.example")
		b.ArriveFromNode(t.Context(), home+"/protostub/evil.example", m)
		local := request.Respond(message.CodeOK, "an application's")
		local.From = alice
		if err := b.From(t.Context(), alice, local); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case m := <-done:
			t.Fatalf("%s has answered: %s", m.From, m.Body)
		default:
		}
		b.ArriveFromNode(t.Context(), home+"/protostub/example.com", request.Respond(message.CodeOK, "the node's"))
		answer := <-done
		if r, err := answer.OK(); err != nil || string(r) != `"the node's"` {
			t.Errorf("the answer is %s, %v", r, err)
		}
	})
}
