package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

const rEve = "runtime://example.com/r-eve"

// subscribeAs is eve's request to listen at addresses that nobody has yet.
func subscribeAs(runtime string, addresses ...message.URL) string {
	return fmt.Sprintf(`{"id":2,"type":"subscribe","from":"%s/sm","to":"%s","body":{"resources":%s}}`, runtime, manager, message.Encode(addresses))
}

// overheard checks that a message to an address reaches its owner and not eve; the next message that eve gets is one of her
// own.
func overheard(t *testing.T, sender, owner *client, eve *js, to message.URL) {
	t.Helper()
	sender.send(message.Message{ID: message.NumberID(77), Type: message.Create, From: sender.runtime, To: to, Body: []byte(`{"value":"secret"}`)})
	sender.send(message.Message{ID: message.NumberID(78), Type: message.Create, From: sender.runtime, To: rEve + "/sm"})
	if m := owner.message(); m.To != to {
		t.Errorf("the owner got %+v", m)
	}
	if m := eve.message(); m.To != rEve+"/sm" {
		t.Errorf("eve heard what was sent to %s", to)
	}
}

// A runtime that listened at an address before it was allocated gets nothing of what is then sent to its owner: neither by a
// subscription nor by having sent from it, neither at once nor after a new connection.
func TestAllocationEndsOthersSubscriptions(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Legacy: true, Data: data})
	eve, alice, bob := n.plain(t, rEve), n.join(t, 1), n.join(t, 2)
	const bobs message.URL = "hyperty://example.com/bob"
	eve.ask(200, subscribeAs(rEve, bobs, bobs.Join("subscription"), bobs.Join("changes")))
	eve.ask(404, `{"id":3,"type":"create","from":"hyperty://example.com/bob","to":"hyperty://example.com/nobody"}`) // learns it
	eve.ask(403, fmt.Sprintf(`{"id":3,"type":"create","from":"%s","to":"hyperty://example.com/nobody"}`, alice.runtime))
	bob.allocate(wish(bobs))
	bob.must(message.Subscribe, manager, string(message.Encode(map[string]any{"resources": []message.URL{bobs, bobs.Join("subscription")}})))
	for _, u := range routing.OwnersAlone(bobs) {
		for _, s := range n.state.Subscriptions.Find("a:" + string(u)) {
			if s.Runtime != bob.runtime {
				t.Errorf("the state has a subscription of %s to %s", s.Runtime, u)
			}
		}
	}
	check := func() {
		t.Helper()
		overheard(t, alice, bob, eve, bobs)
		overheard(t, alice, bob, eve, bobs.Join("subscription"))
		eve.ask(403, `{"id":3,"type":"create","from":"hyperty://example.com/bob","to":"hyperty://example.com/nobody"}`)
		eve.ask(403, subscribeAs(rEve, bobs))
	}
	check()
	// Publications are for everybody, before and after.
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: bobs, To: bobs.Join("changes")})
	if m := eve.message(); m.To != string(bobs)+"/changes" {
		t.Errorf("%+v", m)
	}
	eve = n.plain(t, rEve)
	check()
	n.stop()
	n = start(t, Options{Legacy: true, Data: data})
	eve, alice, bob = n.plain(t, rEve), n.join(t, 1), n.join(t, 2)
	check()
	// When the address is freed and eve takes it, it is hers alone.
	bob.must(message.Delete, allocator, free(bobs))
	eve.ask(200, fmt.Sprintf(`{"id":4,"type":"create","from":"%s/sm","to":"%s","body":%s}`, rEve, allocator, wish(bobs)))
	alice.send(message.Message{ID: message.NumberID(5), Type: message.Create, From: alice.runtime, To: bobs})
	if m := eve.message(); m.To != string(bobs) {
		t.Errorf("%+v", m)
	}
	bob.sync()
}

// A runtime of protofly.v1 listens at addresses of the domain only where they are its own. Runtimes of the JSON dialects may
// make addresses up and listen at them, as long as nobody has them.
func TestSubscriptionsToWhatNobodyHas(t *testing.T) {
	n := start(t, Options{Legacy: true})
	alice, bob := n.join(t, 1), n.plain(t, rBob)
	const own, other message.URL = "comm://example.com/11111111-2222-3333-4444-555555555555", "comm://other.org/room"
	for _, u := range []message.URL{own, own.Join("subscription"), "comm://EXAMPLE.com/x"} {
		if code, text := alice.ask(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s"]}`, u)); code != 403 || !strings.Contains(text, "allocated") {
			t.Errorf("%s: %d %s", u, code, text)
		}
	}
	for _, u := range []message.URL{own.Join("changes"), own.Join("registration"), other, other.Join("subscription")} {
		alice.must(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s"]}`, u))
	}
	bob.ask(200, subscribeAs(rBob, own, own.Join("subscription")))
	alice.send(message.Message{ID: message.NumberID(5), Type: message.Create, From: alice.runtime, To: own})
	if m := bob.message(); m.To != string(own) {
		t.Errorf("%+v", m)
	}
}

// A registration of an address that nobody had ends with the address's allocation: look-ups do not find it.
func TestAllocationEndsOthersRegistrations(t *testing.T) {
	n := start(t, Options{Legacy: true})
	eve, alice, bob := n.plain(t, rEve), n.join(t, 1), n.join(t, 2)
	const bobs message.URL = "hyperty://example.com/bob"
	request := func(kind, body string) string {
		return fmt.Sprintf(`{"id":4,"type":"%s","from":"%s/registry","to":"%s","body":%s}`, kind, rEve, lookups, body)
	}
	eve.ask(200, request("create", entryOf(rEve, bobs, "")))
	look := func(body string) int { code, _ := alice.ask(message.Read, lookups, body); return code }
	byURL, byUser := fmt.Sprintf(`{"resource":"%s"}`, bobs), `{"resource":"user://example.com/bob"}`
	if look(byURL) != 200 || look(byUser) != 200 {
		t.Error("not registered")
	}
	bob.allocate(wish(bobs))
	if look(byURL) != 404 || look(byUser) != 404 {
		t.Errorf("eve is found at bob's address: %d %d", look(byURL), look(byUser))
	}
	eve.ask(404, request("update", fmt.Sprintf(`{"resource":"%s"}`, bobs)))
	bob.must(message.Create, lookups, entryOf(bob.runtime, bobs, ""))
	if look(byURL) != 200 || look(byUser) != 200 {
		t.Error("bob is not found")
	}
}
