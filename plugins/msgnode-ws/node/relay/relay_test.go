package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// Each function has its addresses, and is asked in the turn of its connection, which has ended when the answer is there. What
// is for no function of this node is answered with where to ask.
func TestFunctions(t *testing.T) {
	w := begin(t, limits.Defaults())
	c := w.connect(alice, conn.Binary)
	from := alice.Join("registry")
	for i, one := range []struct {
		to       message.URL
		function *function // nil: none
		text     string
	}{
		{"domain://registry.example.com", &w.registry, ""},
		{"domain://registry.example.com/", &w.registry, ""},
		{"domain://registry.example.com/sm", &w.registry, ""},
		{"domain://registry.EXAMPLE.com", &w.registry, ""},
		{"domain://msg-node.example.com/sm", &w.subscriptions, ""},
		{"domain://msg-node.example.com/address-allocation", &w.allocation, ""},
		{"domain://msg-node.example.com/hyperty-address-allocation", &w.allocation, ""},
		{"domain://msg-node.example.com/object-address-allocation", &w.allocation, ""},
		{"global://registry", &w.registry, ""},
		{"domain://msg-node.example.com/address", nil, "it has address-allocation, sm and registry"},
		{"domain://msg-node.example.com", nil, "has no function"},
		{"domain://msg-node.other.org/sm", nil, "ask the node of other.org"},
		{"domain://registry.other.org", nil, "this node serves example.com"},
	} {
		id := uint64(i)
		w.handle(c, id, message.Read, from, one.to, `{"resource":"x"}`)
		for _, f := range []*function{&w.allocation, &w.subscriptions, &w.registry} {
			if asked := len(f.asked) > 0; asked != (f == one.function) || asked && (f.asked[0].To != one.to || !f.computed) {
				t.Errorf("%s: the function was asked %+v, in a turn: %v", one.to, f.asked, f.computed)
			}
			f.asked, f.computed = nil, false
		}
		if one.function != nil {
			c.wantAnswer(id, 200, "")
		} else {
			c.wantAnswer(id, message.CodeNotFound, one.text)
		}
		if taken, _ := w.rates.Turns.State(); taken {
			t.Fatalf("%s: the turn is not given back", one.to)
		}
	}
}

// A function's refusal is answered, also where another function said no before; a response to a function is not answered, and it
// is not asked.
func TestFunctionRefuses(t *testing.T) {
	w := begin(t, limits.Defaults())
	c := w.connect(alice, conn.Binary)
	w.registry.refuse = refusal.New(message.CodeConflict, "there is one")
	w.handle(c, 1, message.Create, alice, "domain://registry.example.com", "{}")
	c.wantAnswer(1, message.CodeConflict, "there is one")
	w.handle(c, 2, message.Response, alice, "domain://registry.example.com", `{"code":200}`)
	w.handle(c, 3, message.Response, alice, "domain://registry.other.org", `{"code":200}`)
	w.handle(c, 4, message.Read, alice, "domain://msg-node.example.com/sm", "{}")
	c.wantAnswer(4, 200, "") // nothing came before
	if len(w.registry.asked) != 1 {
		t.Errorf("asked %+v", w.registry.asked)
	}
}

// Nobody sends in another one's name, neither to a function nor to a runtime: it is answered with whose the address is not, and
// goes no further. A flood of it is read slowly.
func TestForgedFrom(t *testing.T) {
	l := limits.Defaults()
	l.Requests = 1
	w := begin(t, l)
	w.state.Allocations.Set(state.AddressKey("hyperty://example.com/bobs"), &state.Allocation{Runtime: bob, Address: "hyperty://example.com/bobs"}, 1, 1)
	w.state.Allocations.Set(state.AddressKey("hyperty://example.com/hers"), &state.Allocation{Runtime: alice, Address: "hyperty://example.com/hers"}, 1, 2)
	c, other, began := w.connect(alice, conn.Binary), w.connect(bob, conn.Binary), time.Now()
	for i, from := range []message.URL{bob, bob.Join("sm"), "hyperty://example.com/bobs", "hyperty://example.com/nobodys", "domain://registry.example.com"} {
		for j, to := range []message.URL{bob.Join("sm"), "domain://registry.example.com"} {
			id := uint64(10*i + j)
			w.handle(c, id, message.Read, from, to, "{}")
			c.wantAnswer(id, message.CodeForbidden, fmt.Sprintf("%s is not an address of %s", from, alice))
		}
	}
	if len(w.registry.asked) > 0 {
		t.Errorf("the function was asked %+v", w.registry.asked)
	}
	if c.Charge(1) == nil && time.Since(began) < time.Second { // ten of them have used up ten seconds' worth
		t.Error("forged messages have cost nothing")
	}
	free := w.connect("hyperty-runtime://example.com/free", conn.Binary)
	w.handle(free, 1, message.Create, free.Runtime().Join("sm"), bob.Join("sm"), "{}")
	if m := other.next(); m.From != free.Runtime().Join("sm") {
		t.Errorf("bob gets %s from %s", m.Type, m.From)
	}
}

// Whoever has an address of another domain may ask the node's functions, and sends nothing to others.
func TestForeignFrom(t *testing.T) {
	w := begin(t, limits.Defaults())
	c := w.connect(alice, conn.Binary)
	w.handle(c, 1, message.Read, "hyperty://other.org/hers", "domain://registry.example.com", "{}")
	c.wantAnswer(1, 200, "")
	w.handle(c, 2, message.Read, "hyperty://other.org/hers", bob, "{}")
	c.wantAnswer(2, message.CodeForbidden, "is not an address of")
}

// A message reaches its receiver as it is, once; where nobody is there, its sender is told, unless it is a publication.
func TestPassedOn(t *testing.T) {
	w := begin(t, limits.Defaults())
	a, b := w.connect(alice, conn.Binary), w.connect(bob, conn.Binary)
	w.handle(a, 1, message.Create, alice.Join("sm"), bob.Join("registry", "x"), `{"a":1}`)
	if m := b.next(); m.From != alice.Join("sm") || m.To != bob.Join("registry", "x") || m.ID != message.NumberID(1) || string(m.Body) != `{"a":1}` {
		t.Errorf("bob gets %+v", m)
	}
	w.handle(b, 1, message.Response, bob.Join("registry", "x"), alice.Join("sm"), `{"code":200}`)
	a.wantAnswer(1, 200, "")
	w.handle(a, 2, message.Update, alice.Join("sm"), "hyperty://example.com/nobody/changes", `{}`)
	w.handle(a, 3, message.Create, alice.Join("sm"), "hyperty://example.com/nobody", `{}`)
	a.wantAnswer(3, message.CodeNotFound, "nobody listens") // the publication was not answered
}

// A visitor asks for nothing but reads and subscriptions, and reaches the domain's addresses alone.
func TestVisitors(t *testing.T) {
	w := begin(t, limits.Defaults())
	a, b := w.connect(alice, conn.Binary), w.connect(bob, conn.Binary)
	policy, err := admission.New(domain, admission.Rules{Members: admission.Listed}, admission.KeyFile{})
	if err != nil {
		t.Fatal(err)
	}
	a.Guest = policy.Visitor()
	for i, one := range []struct {
		kind message.Type
		to   message.URL
		code int
	}{
		{message.Create, "domain://msg-node.example.com/address-allocation", message.CodeForbidden},
		{message.Create, "domain://registry.example.com", message.CodeForbidden},
		{message.Read, "domain://registry.example.com", 200},
		{message.Subscribe, "domain://msg-node.example.com/sm", 200},
		{message.Create, "hyperty://other.org/x", message.CodeForbidden},
		{message.Create, "hyperty://example.com/nobody", message.CodeNotFound},
	} {
		w.handle(a, uint64(i), one.kind, alice, one.to, "{}")
		a.wantAnswer(uint64(i), one.code, "")
	}
	if len(w.allocation.asked) > 0 || len(w.registry.asked) != 1 {
		t.Errorf("asked %+v and %+v", w.allocation.asked, w.registry.asked)
	}
	w.handle(a, 9, message.Create, alice, bob, "{}")
	if m := b.next(); m.From != alice {
		t.Errorf("bob gets %+v", m)
	}
}

// A request is paid for before its function is asked, and a message before it is passed on; whoever cannot pay is told when to come
// again.
func TestRequestsArePaid(t *testing.T) {
	l := limits.Defaults()
	l.Requests = 1 // a second, and 10 at once
	w := begin(t, l)
	asked := 0
	for i, one := range []struct {
		kind  message.Type
		to    message.URL
		price int
	}{
		{message.Read, "domain://registry.example.com", 1},
		{message.Create, "domain://registry.example.com", rates.RowPrice},
		{message.Create, "hyperty://example.com/nobody", 1},
	} {
		c := w.connect(message.URL(fmt.Sprint("hyperty-runtime://example.com/", i)), conn.Binary)
		began, answered := time.Now(), 0
		for id := uint64(0); ; id++ {
			w.handle(c, id, one.kind, c.Runtime(), one.to, "{}")
			m := c.next()
			r, err := m.Result()
			if err != nil {
				t.Fatal(err)
			}
			if r.Code == message.CodeTooMany {
				if !strings.Contains(r.Description, "try again in") {
					t.Errorf("%s %s: %s", one.kind, one.to, r.Description)
				}
				break
			}
			answered++
		}
		if one.to.IsBackEnd() {
			asked += answered
		}
		slack := int(time.Since(began).Seconds()) + 1
		if answered < 10/one.price || answered > (10+slack)/one.price {
			t.Errorf("%s %s: %d are answered before one is refused", one.kind, one.to, answered)
		}
	}
	if len(w.registry.asked) != asked {
		t.Errorf("the function was asked %d times, and %d are answered", len(w.registry.asked), asked)
	}
}

// A publication costs more the more connections want it.
func TestPublicationsCostByTheirReceivers(t *testing.T) {
	l := limits.Defaults()
	l.Requests = 100 // a second, and 1000 at once
	w := begin(t, l)
	c := w.connect(alice, conn.Binary)
	const receivers = 1600
	price := w.rates.PassingPrice(&message.Message{}, receivers)
	to := message.URL("hyperty://example.com/x/changes")
	for range receivers {
		wc := w.conns.New(quota.Source{}, conn.Binary)
		wc.SetRuntime(bob)
		wc.Kick(1000, "takes nothing")
		other := routing.NewClient(wc, rates.NewSpending(wc.Context(), w.rates, quota.Source{}, wc.ID), &quota.Ticket{})
		if err := w.router.Want(other, to, routing.Subscribed); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.conns.Remove(wc) })
	}
	began := time.Now()
	for range 10 {
		w.handle(c, 1, message.Update, alice, to, "{}")
	}
	free := 0
	for c.Charge(1) == nil {
		free++
	}
	if spent, refilled := 1000-free, int(time.Since(began).Seconds()*100)+1; spent > 10*price || spent < 10*price-refilled || price < 20 {
		t.Errorf("ten publications for %d have cost %d, each costs %d", receivers, spent, price)
	}
}

// An address that a connection of the reference's dialects sends from leads to it; one of protofly.v1 has to have it allocated.
func TestAddressesAreLearned(t *testing.T) {
	w := begin(t, limits.Defaults())
	plain, binary := w.connect("hyperty-runtime://example.com/plain", conn.PlainJSON), w.connect(bob, conn.Binary)
	const made = message.URL("hyperty://example.com/made-up")
	w.handle(plain, 1, message.Create, made, bob, "{}")
	if m := binary.next(); m.From != made {
		t.Fatalf("bob gets %+v", m)
	}
	w.handle(binary, 2, message.Create, bob, made, "{}")
	if m := plain.next(); m.From != bob || m.To != made {
		t.Errorf("the plain stub gets %+v", m)
	}
	w.state.Allocations.Set(state.AddressKey("hyperty://example.com/bobs"), &state.Allocation{Runtime: bob, Address: "hyperty://example.com/bobs"}, 1, 1)
	w.handle(binary, 3, message.Update, "hyperty://example.com/bobs", made, "{}")
	plain.next()
	if n := w.router.Receivers("hyperty://example.com/bobs"); n != 0 {
		t.Errorf("%d connections have the address that was only sent from", n)
	}
}

// A connection that has ended gets nothing computed.
func TestEndedConnections(t *testing.T) {
	w := begin(t, limits.Defaults())
	c := w.connect(alice, conn.Binary)
	if err := w.rates.Turns.Take(t.Context(), quota.Asker{Conn: 1 << 40}); err != nil { // another one computes
		t.Fatal(err)
	}
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		w.handle(c, 1, message.Read, alice, "domain://registry.example.com", "{}")
	}()
	for waiting := 0; waiting == 0; _, waiting = w.rates.Turns.State() {
		select {
		case <-handled:
			t.Fatal("it did not wait for its turn")
		case <-time.After(time.Millisecond):
		}
	}
	c.Lost(nil)
	<-handled
	if len(w.registry.asked) > 0 {
		t.Errorf("asked %+v", w.registry.asked)
	}
}

// Where NATS is away, senders are told that the node cannot pass on.
func TestNATSAway(t *testing.T) {
	w := begin(t, limits.Defaults())
	c := w.connect(alice, conn.Binary)
	w.nats.Close()
	w.handle(c, 1, message.Create, alice, bob, "{}")
	c.wantAnswer(1, message.CodeUnavailable, "cannot pass messages on now")
}
