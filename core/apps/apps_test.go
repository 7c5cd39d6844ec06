package apps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self  message.URL = "hyperty-runtime://a.example/self"
	alice message.URL = "hyperty://a.example/alice"
	carl  message.URL = "hyperty://a.example/carl"
	bob   message.URL = "hyperty://b.example/bob"
)

// around is a registry and a way out, and notes what is done with them.
type around struct {
	mu      sync.Mutex
	wg      sync.WaitGroup
	left    []string // by the bus: type and address
	asked   []string // requests in the runtime's own name
	gone    []message.URL
	refuse  error // of VerifyLocal
	tracker delivery.Tracker
	bus     *bus.MessageBus
}

func (a *around) RegisterHyperty(_ context.Context, h registry.Hyperty) (message.URL, error) {
	if h.Name == "taken" {
		return "", &message.ResponseError{Code: message.CodeConflict}
	}
	return message.URL("hyperty://a.example/" + h.Name), nil
}
func (a *around) Unregister(context.Context, message.URL) error { return nil }
func (a *around) Release(context.Context, message.URL) error    { return nil }

func (a *around) Resolve(context.Context, message.Message) (bus.Route, error) {
	return bus.Route{Stub: "stub"}, nil
}
func (a *around) TryResolve(message.Message) (bus.Route, error) { return bus.Route{Stub: "stub"}, nil }
func (a *around) TryForward(_ bus.Route, m message.Message, r minibus.Receipt) error {
	return a.Forward(context.Background(), bus.Route{}, m, r)
}
func (a *around) TryVerify(_, _ message.URL) error { return nil }
func (a *around) Forward(_ context.Context, _ bus.Route, m message.Message, _ minibus.Receipt) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = append(a.left, fmt.Sprint(m.Type, " ", m.To))
	return nil
}
func (a *around) VerifyLocal(_, _ message.URL) error                     { return a.refuse }
func (a *around) Verify(context.Context, message.URL, message.URL) error { return nil }
func (a *around) request(_ context.Context, m message.Message) (message.Message, error) {
	var body struct{ Resources message.URLs }
	_ = m.Decode(&body)
	slices.Sort(body.Resources)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, fmt.Sprint(m.Type, " ", m.From, " ", body.Resources))
	return m.Respond(message.CodeOK, nil), nil
}

// did returns what was asked in the background since the last call.
func (a *around) did() string {
	a.wg.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.asked)
	defer func() { a.asked = nil }()
	return strings.Join(a.asked, ", ")
}

func newApps(t *testing.T) (*Apps, *around) {
	a := &around{}
	a.bus = bus.New(bus.Options{Runtime: self, Tracker: &a.tracker})
	a.bus.Connect(bus.Outside{Resolver: a, Forwarder: a, Authority: a})
	t.Cleanup(a.bus.Close)
	return New(Options{Self: self, Bus: a.bus, Request: a.request, Registry: a, Tracker: &a.tracker,
		Gone: func(u message.URL) { a.gone = append(a.gone, u) },
		Go:   func(f func(context.Context)) { a.wg.Go(func() { f(t.Context()) }) }}), a
}

// attach attaches a hyperty, whose messages come into the channel.
func attach(t *testing.T, all *Apps, name string) (*Attachment, chan message.Message) {
	t.Helper()
	got := make(chan message.Message, 16)
	a, err := all.Attach(t.Context(), hyperty.Registration{Name: name}, func(_ context.Context, m message.Message, r minibus.Receipt) {
		got <- m
		r.Taken()
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, got
}

// A hyperty posts in its own name, gets the messages to its address, and leaves nothing behind.
func TestAttach(t *testing.T) {
	all, around := newApps(t)
	a, got := attach(t, all, "alice")
	c, _ := attach(t, all, "carl")
	if a.URL() != alice {
		t.Fatal(a.URL())
	}
	if err := c.Post(t.Context(), message.Message{ID: message.NumberID(1), Type: message.Update, From: carl, To: alice}); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m.From != carl {
		t.Errorf("got %+v", m)
	}
	if err := a.Post(t.Context(), message.Message{ID: message.NumberID(1), Type: message.Update, From: alice, To: bob}); err != nil || !slices.Equal(around.left, []string{"update " + string(bob)}) {
		t.Errorf("left: %q %v", around.left, err)
	}
	outcomes := make(chan hyperty.Outcome, 2)
	tell := func(o hyperty.Outcome) { outcomes <- o }
	m := message.Message{ID: message.NumberID(2), Type: message.Update, From: carl, To: alice}
	if err := c.PostTracked(t.Context(), m, tell); err != nil {
		t.Fatal(err)
	}
	if o := <-outcomes; o.State != hyperty.Delivered {
		t.Error(o)
	}
	m.ID, m.To = message.NumberID(3), bob
	if err := c.PostTracked(t.Context(), m, tell); err != nil {
		t.Fatal(err)
	}
	var conflict *message.ResponseError
	if err := c.PostTracked(t.Context(), m, tell); !errors.As(err, &conflict) || conflict.Code != message.CodeConflict {
		t.Errorf("a message that is tracked already: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := <-outcomes; o.State != hyperty.InDoubt {
		t.Errorf("of a message whose sender has gone is told: %v", o)
	}
	if !slices.Equal(around.gone, []message.URL{carl}) || around.bus.Listened(carl) || !around.bus.Listened(alice) {
		t.Errorf("gone: %v", around.gone)
	}
	around.refuse = errors.New("not its own")
	m.ID, m.From = message.NumberID(4), alice
	if err := a.PostTracked(t.Context(), m, tell); err == nil || around.tracker.Find(alice, m.ID) != nil {
		t.Errorf("a message that was refused is tracked: %v", err)
	}
	if _, err := all.Attach(t.Context(), hyperty.Registration{Name: "taken"}, nil); !errors.As(err, &conflict) {
		t.Errorf("a name that is taken: %v", err)
	}
}

// Registrations are followed at their node while a hyperty follows them, and again when the node may have forgotten it.
func TestRegistrationsThatAreFollowed(t *testing.T) {
	all, around := newApps(t)
	a, gotA := attach(t, all, "alice")
	c, gotC := attach(t, all, "carl")
	const at = bob + "/registration"
	n := uint64(0)
	post := func(h *Attachment, typ message.Type, list ...message.URL) {
		t.Helper()
		n++
		err := h.Post(t.Context(), message.Message{ID: message.NumberID(n), Type: typ, From: h.URL(), To: message.SubscriptionAddress("b.example"),
			Body: message.Encode(map[string]any{"resources": list})})
		if err != nil {
			t.Fatal(err)
		}
	}
	told := func(got chan message.Message) {
		t.Helper()
		if m := <-got; m.To != at {
			t.Errorf("got %+v", m)
		}
	}
	post(a, message.Subscribe, at)
	post(c, message.Subscribe, at)
	post(c, message.Subscribe, self+"/registration") // not a hyperty's
	if err := around.bus.Post(t.Context(), message.Message{Type: message.Update, From: self + "/x", To: at}); err != nil {
		t.Fatal(err)
	}
	told(gotA)
	told(gotC)
	all.NodeLive("c.example")
	if did := around.did(); did != "" {
		t.Errorf("another node is asked: %s", did)
	}
	all.NodeLive("b.example")
	if did, want := around.did(), fmt.Sprintf("subscribe %s/subscriptions [%s]", self, at); did != want {
		t.Errorf("asked: %q, want %q", did, want)
	}
	left := len(around.left)
	post(c, message.Unsubscribe, at) // alice still follows it
	if m := <-gotC; m.Type != message.Response || len(around.left) != left {
		t.Errorf("the node is told though another one follows: %v, %v", m, around.left[left:])
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if did, want := around.did(), fmt.Sprintf("unsubscribe %s/subscriptions [%s]", self, at); did != want {
		t.Errorf("asked: %q, want %q", did, want)
	}
	if all.NodeLive("b.example"); around.did() != "" || around.bus.Listened(at) {
		t.Error("what nobody follows any more is followed")
	}
}

// A message that is not valid neither begins nor ends a subscription.
func TestInvalidSubscriptions(t *testing.T) {
	const at message.URL = "hyperty://b.example/bob/registration"
	all, around := newApps(t)
	a, got := attach(t, all, "alice")
	m := message.Message{ID: message.NumberID(1), Type: message.Subscribe, From: alice, To: message.SubscriptionAddress("b.example"),
		Body: message.Encode(map[string]any{"resources": []message.URL{at}}), Via: make([]message.URL, message.MaxVia+1)}
	if err := a.Post(t.Context(), m); !errors.Is(err, message.ErrMalformed) || around.bus.Listened(at) {
		t.Errorf("a subscribe: %v, listened to %v", err, around.bus.Listened(at))
	}
	m.Via, m.Type = m.Via[:1], message.Subscribe
	if err := a.Post(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.Via, m.Type = make([]message.URL, message.MaxVia+1), message.Unsubscribe
	if err := a.Post(t.Context(), m); !errors.Is(err, message.ErrMalformed) || len(got) > 0 || !around.bus.Listened(at) {
		t.Errorf("an unsubscribe: %v, %d responses, listened to %v", err, len(got), around.bus.Listened(at))
	}
}

// A hyperty may follow a limited number of registrations.
func TestRegistrationsAreBounded(t *testing.T) {
	all, _ := newApps(t)
	c, _ := attach(t, all, "carl")
	many := make([]message.URL, maxRegistrations+1)
	for i := range many {
		many[i] = message.URL(fmt.Sprintf("hyperty://b.example/%d/registration", i))
	}
	var refused *message.ResponseError
	err := c.Post(t.Context(), message.Message{ID: message.NumberID(99), Type: message.Subscribe, From: carl, To: message.SubscriptionAddress("b.example"),
		Body: message.Encode(map[string]any{"resources": many})})
	if !errors.As(err, &refused) || refused.Code != message.CodeTooMany {
		t.Errorf("too many: %v", err)
	}
}

// A hyperty of an application in this process handles what is sent to it.
func TestRegister(t *testing.T) {
	all, around := newApps(t)
	if _, err := all.Register(t.Context(), hyperty.Registration{Name: "alice/x"}); err == nil {
		t.Error("a name with a slash is registered")
	}
	h, err := all.Register(t.Context(), hyperty.Registration{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan message.URL, 1)
	h.Handle(func(_ context.Context, m hyperty.Received) { got <- m.From })
	if err := around.bus.Post(t.Context(), message.Message{Type: message.Update, From: self + "/x", To: alice}); err != nil {
		t.Fatal(err)
	}
	if from := <-got; from != self+"/x" {
		t.Error(from)
	}
	if err := h.Close(t.Context()); err != nil || around.bus.Listened(alice) {
		t.Errorf("left: %v", err)
	}
}
