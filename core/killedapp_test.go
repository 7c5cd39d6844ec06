package core_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// deafVariable has this program be an application that takes nothing: it is the socket of its runtime.
const deafVariable = "DEAF_APPLICATION"

// beDeaf is an application with one hyperty, whose handler does not return.
func beDeaf(socket string) {
	c, err := hyperty.Dial(context.Background(), hyperty.Options{Socket: socket})
	if err != nil {
		panic(err)
	}
	h, err := c.Register(context.Background(), hyperty.Registration{})
	if err != nil {
		panic(err)
	}
	h.Handle(func(context.Context, hyperty.Received) { select {} })
	fmt.Println(h.URL())
	select {}
}

// deaf starts an application that takes nothing, in a process of its own.
func (r *running) deaf() (url message.URL, kill func()) {
	r.t.Helper()
	out, kill := startSelf(r.t, deafVariable+"="+r.socket())
	if _, err := fmt.Fscan(out, &url); err != nil {
		r.t.Fatal(err)
	}
	return url, kill
}

// mailing is a hyperty that has sent tracked messages, and what it hears of each.
type mailing struct {
	*hyperty.Hyperty
	list []*hyperty.Delivery

	mu    sync.Mutex
	heard map[string][]int // the codes of responses, by ID
}

// mail sends so many tracked messages.
func mail(t *testing.T, h *hyperty.Hyperty, to message.URL, count int) *mailing {
	t.Helper()
	m := &mailing{Hyperty: h, heard: map[string][]int{}}
	h.HandleResponses(func(_ context.Context, answer message.Message) {
		_, err := answer.OK()
		code := 200
		if refused, ok := err.(*message.ResponseError); ok {
			code = refused.Code
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.heard[answer.ID.String()] = append(m.heard[answer.ID.String()], code)
	})
	for n := range count {
		d, err := h.SendTracked(t.Context(), to, message.Update, map[string]int{"n": n})
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		m.list = append(m.list, d)
	}
	return m
}

// check waits until it has heard of each message, and compares what it has heard: of one that was delivered nothing else, of
// any other one response with the same code. It returns how many were delivered.
func (m *mailing) check(t *testing.T, r *running) (delivered int) {
	t.Helper()
	refused := map[string]int{} // codes
	for _, d := range m.list {
		o, err := await(d)
		switch {
		case err != nil:
			t.Fatalf("nothing is heard of %s: %v", d.ID, err)
		case o.State == hyperty.Delivered:
			delivered++
		case o.State == hyperty.Refused:
			refused[d.ID.String()] = o.Code
		case o.State == hyperty.InDoubt:
			refused[d.ID.String()] = message.CodeUnavailable
		default:
			t.Errorf("%s: %v", d.ID, o)
		}
	}
	r.until("a response to each message that was refused", waitTime, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.heard) >= len(refused)
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	wrong := 0
	for _, d := range m.list {
		code, no := refused[d.ID.String()]
		if codes := m.heard[d.ID.String()]; no && (len(codes) != 1 || codes[0] != code) || !no && len(codes) > 0 {
			if wrong++; wrong < 5 {
				t.Errorf("%s: %v, answered with %v", d.ID, d.Outcome(), codes)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d are wrong", wrong, len(m.list))
	}
	return delivered
}

// An application is killed with -9 while 3,000 messages wait for it; or it is one in the runtime's process, and ends. Each sender,
// behind another runtime's socket, hears of each message, once, and the same by its outcome and by its response.
func TestAllHearOfAnApplicationThatIsKilled(t *testing.T) {
	t.Run("relay", func(t *testing.T) { killedApplication(t, "", true) })
	t.Run("relay, in process", func(t *testing.T) { killedApplication(t, "", false) })
	t.Run(oneTransport(t)+", in process", func(t *testing.T) { killedApplication(t, oneTransport(t), false) })
	eachTransport(t, func(t *testing.T, transport string) { killedApplication(t, transport, true) })
}

func killedApplication(t *testing.T, transport string, process bool) {
	node := startNode(t, "example.com")
	o := runtimeOptions{nodes: []*nodeProcess{node}, policy: "never", change: served}
	if transport != "" {
		o.use, o.policy = []string{transport}, ""
	}
	o.name = "a"
	a := startRuntime(t, o)
	o.name = "b"
	b := startRuntime(t, o)
	if transport != "" {
		b.register("talker").Handle(answer)
		if _, err := a.register("asker").Request(t.Context(), "hyperty://example.com/talker", message.Read, nil); err != nil {
			t.Fatal(err)
		}
		mutual(t, a, b)
	}
	var to message.URL
	var end func()
	if process {
		to, end = b.deaf()
	} else {
		h := b.register("")
		h.Handle(func(ctx context.Context, _ hyperty.Received) { <-ctx.Done() })
		to, end = h.URL(), func() { _ = h.Close(t.Context()) }
	}
	const each = 1000
	var senders []*mailing
	for n := range 3 {
		senders = append(senders, mail(t, a.application(fmt.Sprintf("sender%d", n)), to, each))
	}
	b.until("all wait there", waitTime, func() bool {
		s, err := a.Status(t.Context())
		return err == nil && len(s.Sessions) == 1 && s.Sessions[0].Unacknowledged == 0
	})
	end()
	delivered := 0
	for _, m := range senders {
		delivered += m.check(t, a)
	}
	t.Logf("%d of %d were delivered", delivered, len(senders)*each)
	if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Arrive && e.From == to }); n > 0 {
		t.Errorf("%d refusals came in the name of an address that has gone", n)
	}
}
