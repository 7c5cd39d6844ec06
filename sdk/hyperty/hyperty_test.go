package hyperty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

const runtimeURL message.URL = "hyperty-runtime://example.com/r"

// hall is a runtime in the same process, without a Message Node.
type hall struct{ listeners *minibus.Listeners }

func newHall(t testing.TB) *hall {
	h := &hall{minibus.NewListeners(0)}
	t.Cleanup(h.listeners.Close)
	return h
}

// seat is the bus of one hyperty in the hall.
type seat struct {
	*minibus.MiniBus
	hall *hall
}

func (s *seat) Post(ctx context.Context, m message.Message) error {
	s.Number(&m)
	return s.post(ctx, m)
}

func (s *seat) post(ctx context.Context, m message.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	_, err := s.hall.listeners.Deliver(ctx, m.To, m)
	return err
}

func (s *seat) Track(ctx context.Context, m *message.Message, tell func(Outcome)) error {
	s.Number(m)
	n, err := s.hall.listeners.Hand(ctx, m.To, *m, minibus.Receipt{By: telling(tell)})
	if n == 0 && err == nil {
		tell(Outcome{State: Refused, Code: message.CodeNotFound})
	}
	return err
}

// telling adapts a function tell to a receipt's Taker.
type telling func(Outcome)

func (t telling) Settled(uint64, uint32, int) { t(Outcome{State: Delivered}) }
func (t telling) Failed(_ uint64, _ uint32, _ message.Message, e error) {
	t(Outcome{State: Refused, Reason: e.Error()})
}

func (h *hall) Register(_ context.Context, r Registration) (*Hyperty, error) {
	if r.Name == "taken" {
		return nil, &message.ResponseError{Code: message.CodeConflict}
	}
	url, s := message.URL("hyperty://example.com/"+r.Name), &seat{hall: h}
	s.MiniBus = minibus.New(minibus.Options{Out: s.post})
	var stop func()
	hyperty := New(s, url, runtimeURL, func(context.Context) error {
		stop()
		s.MiniBus.Close()
		return nil
	})
	stop = h.listeners.ListenThrough(url, s)
	return hyperty, nil
}

func member(t testing.TB, r Runtime, name string) *Hyperty {
	t.Helper()
	h, err := r.Register(context.Background(), Registration{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

func TestInProcess(t *testing.T) {
	hall := newHall(t)
	alice, bob := member(t, hall, "alice"), member(t, hall, "bob")
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range 1000 {
			if err := alice.Send(ctx, bob.URL(), map[string]int{"n": i}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 1000 {
		if m, err := bob.Receive(ctx); err != nil || m.Text() != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("%d: %s %v", i, m.Text(), err)
		}
	}
	sending.Wait()
	bob.Handle(func(ctx context.Context, m Received) { _ = m.Answer(ctx, m.Value()) })
	r, err := alice.Request(ctx, bob.URL(), message.Read, []int{1, 2})
	if err != nil || string(r.Value) != "[1,2]" {
		t.Fatal(r, err)
	}
	var refused *message.ResponseError
	if _, err := hall.Register(ctx, Registration{Name: "taken"}); !errors.As(err, &refused) || refused.Code != 409 {
		t.Fatal(err)
	}
	if err := bob.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := bob.Close(ctx); err != nil {
		t.Fatal("second close", err)
	}
	if err := bob.Send(ctx, alice.URL(), 1); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := bob.Receive(ctx); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestWhatIsSent(t *testing.T) {
	for _, c := range []struct {
		body any
		want string
	}{
		{nil, ""}, {"hello", `{"value":"hello"}`}, {3, `{"value":3}`}, {struct{ A int }{1}, `{"A":1}`},
		{json.RawMessage(` {"a":1}`), `{"a":1}`}, {[]string{"x"}, `{"value":["x"]}`}, {true, `{"value":true}`},
	} {
		if got, err := encodeBody(c.body); err != nil || string(got) != c.want {
			t.Errorf("%v: %s %v", c.body, got, err)
		}
	}
	if _, err := encodeBody(make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
	hall := newHall(t)
	h := member(t, hall, "h")
	for _, err := range []error{
		h.Send(context.Background(), "bob", 1),
		h.Send(context.Background(), "", 1),
		h.Send(context.Background(), h.URL(), func() {}),
		h.Send(context.Background(), h.URL(), strings.Repeat("x", message.MaxBody)),
		h.SendType(context.Background(), h.URL(), 0, nil),
	} {
		if err == nil {
			t.Error("accepted")
		}
	}
}

func TestText(t *testing.T) {
	for body, want := range map[string]string{`{"value":"x"}`: "x", `{"value":{"a":1}}`: `{"a":1}`, `{"a":1}`: `{"a":1}`, ``: ``, `{"value":null}`: ""} {
		if got := (Received{Message: message.Message{Body: json.RawMessage(body)}}).Text(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// A hyperty that uses only data objects is not held up by messages that it does not take.
func TestNobodyReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := newHall(t)
		deaf, alice := member(t, hall, "deaf"), member(t, hall, "alice")
		var refusals atomic.Int32
		alice.HandleResponses(func(_ context.Context, m message.Message) {
			if r, err := m.Result(); err == nil && r.Code == message.CodeTimeout {
				refusals.Add(1)
			}
		})
		for i := range 100 {
			if err := alice.Send(context.Background(), deaf.URL(), i); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(patience - time.Second)
		synctest.Wait()
		if refusals.Load() != 0 {
			t.Fatal("refused at once")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := refusals.Load(); n != 100 {
			t.Fatalf("%d of 100 refused", n)
		}
		deaf.Handle(func(ctx context.Context, m Received) { _ = m.Answer(ctx, "now") })
		if r, err := alice.Request(context.Background(), deaf.URL(), message.Read, nil); err != nil || string(r.Value) != `"now"` {
			t.Fatal(r, err)
		}
		_ = deaf.Close(context.Background())
		_ = alice.Close(context.Background())
		hall.listeners.Close()
	})
}

func TestHandlerComesLater(t *testing.T) {
	hall := newHall(t)
	h := member(t, hall, "h")
	for i := range 10 {
		if err := h.Send(context.Background(), h.URL(), i); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan string, 10)
	h.Handle(func(_ context.Context, m Received) { got <- m.Text() })
	for i := range 10 {
		if text := <-got; text != fmt.Sprint(i) {
			t.Fatalf("%s at %d", text, i)
		}
	}
}

func TestInvitationsNeedObjects(t *testing.T) {
	hall := newHall(t)
	h := member(t, hall, "h")
	answers := make(chan message.Message, 4)
	from := message.URL("comm://example.com/x/subscription")
	defer hall.listeners.Listen(from, func(_ context.Context, m message.Message) { answers <- m })()
	invite := message.Message{ID: message.NumberID(5), Type: message.Create, From: from, To: h.URL(), Body: json.RawMessage(`{"value":{}}`)}
	if _, err := hall.listeners.Deliver(context.Background(), h.URL(), invite); err != nil {
		t.Fatal(err)
	}
	answer := <-answers
	if r, err := answer.Result(); err != nil || r.Code != 404 || answer.ID != invite.ID {
		t.Fatal(answer, err)
	}
	h.Objects() // from now on the syncher answers
	if _, err := hall.listeners.Deliver(context.Background(), h.URL(), invite); err != nil {
		t.Fatal(err)
	}
	answer = <-answers
	if r, err := answer.Result(); err != nil || r.Code == 200 {
		t.Fatal(answer, err)
	}
	select {
	case m := <-answers:
		t.Fatal("answered twice", m)
	case <-time.After(20 * time.Millisecond):
	}
}

func FuzzRegistration(f *testing.F) {
	f.Add("bob", "user://example.com/bob", "chat")
	f.Add("a/b", "", "")
	f.Fuzz(func(t *testing.T, name, user, resource string) {
		r := Registration{Name: name, User: message.URL(user), Resources: []string{resource}}
		if r.Check() != nil || name == "" {
			return
		}
		u, err := message.ParseURL("hyperty://example.com/" + name)
		if err != nil || u.Base() != u || identifier(u) != name {
			t.Fatalf("the name %q makes %q: %v", name, u, err)
		}
	})
}

func BenchmarkInProcess(b *testing.B) {
	hall := newHall(b)
	alice, bob := member(b, hall, "alice"), member(b, hall, "bob")
	b.ReportAllocs()
	body := json.RawMessage(`{"value":"` + strings.Repeat("x", 80) + `"}`)
	var received atomic.Int64
	bob.Handle(func(context.Context, Received) { received.Add(1) })
	sent := int64(0)
	for b.Loop() {
		if err := alice.Post(b.Context(), message.Message{Type: message.Update, To: bob.URL(), Body: body}); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	for received.Load() < sent {
		runtime.Gosched()
	}
}
