package node

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

func TestAllocation(t *testing.T) {
	n := start(t, Options{Limits: Limits{Addresses: 8, Block: 5}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	block := alice.allocate(`{"scheme":"comm","value":{"number":2,"allocationKey":"k"}}`)
	if len(block) != 2 || block[0].Scheme() != "comm" || block[0].Domain() != domain || block[0] == block[1] {
		t.Fatal(block)
	}
	if one := alice.allocate(`{}`); len(one) != 1 || one[0].Scheme() != "hyperty" {
		t.Fatal(one)
	}
	if again := alice.allocate(`{"value":{"identifier":"alice"}}`); again[0] != "hyperty://example.com/alice" {
		t.Fatal(again)
	}
	alice.allocate(`{"value":{"identifier":"alice"}}`) // it is hers already
	for body, want := range map[string]int{
		`{"value":{"identifier":"alice"}}`:              409,
		`{"value":{"identifier":"Bob"}}`:                400,
		`{"value":{"identifier":"b/b"}}`:                400,
		`{"value":{"identifier":"bob","number":2}}`:     400,
		`{"value":{"number":0}}`:                        400,
		`{"value":{"number":-5}}`:                       400,
		`{"value":{"number":6}}`:                        413,
		`{"value":{"number":"x"}}`:                      400,
		`{"scheme":"runtime"}`:                          400,
		`{"scheme":"no scheme"}`:                        400,
		`{"scheme":"hyperty","value":{"number":99999}}`: 413,
	} {
		if code, text := bob.ask(message.Create, allocator, body); code != want {
			t.Errorf("%s: %d %s, want %d", body, code, text, want)
		}
	}
	if code, text := alice.ask(message.Create, allocator, `{"value":{"number":5}}`); code != 429 {
		t.Errorf("more than 8 addresses: %d %s", code, text)
	}
	if code, text := bob.ask(message.Update, allocator, `{}`); code != 400 {
		t.Errorf("update: %d %s", code, text)
	}
	// Only its own runtime frees an address.
	free := fmt.Sprintf(`{"childrenResources":[["%s"],"hyperty://example.com/unknown"]}`, block[0])
	if code, text := bob.ask(message.Delete, allocator, free); code != 403 {
		t.Errorf("a stranger's: %d %s", code, text)
	}
	if code, text := bob.ask(message.Delete, allocator, `{}`); code != 400 {
		t.Errorf("delete without what: %d %s", code, text)
	}
	alice.must(message.Delete, allocator, free)
	if code, text := bob.ask(message.Create, block[0], `{}`); code != 404 {
		t.Errorf("a freed address is routed: %d %s", code, text)
	}
	if code, _ := alice.askFrom(block[0], message.Create, bob.runtime, `{}`); code != 403 {
		t.Error("a freed address may be sent from")
	}
	alice.must(message.Delete, allocator, `{"resource":["k"]}`)
	if n.state.Owner(block[1]) != "" {
		t.Error("the block's key did not free it")
	}
	alice.must(message.Delete, allocator, `{"resource":"hyperty://example.com/alice"}`)
	if got := bob.allocate(`{"value":{"identifier":"alice"}}`); len(got) != 1 {
		t.Error("a freed identifier is not to be had")
	}
}

func TestSubscriptions(t *testing.T) {
	n := start(t, Options{Limits: Limits{Subscriptions: 12}})
	alice, bob, carol := n.join(t, 1), n.join(t, 2), n.join(t, 3)
	object := alice.allocate(`{"scheme":"comm","value":{"number":1}}`)[0]
	alice.must(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s","%s/subscription"]}`, object, object))
	bob.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/changes"],"source":"%s"}`, object, alice.runtime))
	carol.must(message.Subscribe, manager, fmt.Sprintf(`{"resource":"%s","childrenResources":["messages"]}`, object))
	carol.must(message.Subscribe, manager, fmt.Sprintf(`{"resources":"%s/changes","subscribe":["%s/children/"]}`, object, object))
	update := message.Message{ID: message.NumberID(1), Type: message.Update, From: object, To: object.Join("changes"), Body: json.RawMessage(`{"value":1}`)}
	alice.send(update)
	for _, c := range []*client{bob, carol} {
		if m := c.message(); m.To != update.To || m.From != object {
			t.Errorf("got %+v", m)
		}
	}
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: object, To: object.Join("children", "messages")})
	if m := carol.message(); m.Type != message.Create {
		t.Errorf("got %+v", m)
	}
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Subscribe, From: bob.runtime.Join("sm"), To: object.Join("subscription")})
	if m := alice.message(); m.Type != message.Subscribe {
		t.Errorf("got %+v", m)
	}
	// Addresses under a runtime's URL are its own alone.
	for _, u := range []message.URL{alice.runtime, alice.runtime.Join("registry", "changes"), object, object.Join("subscription"), manager, lookups} {
		if code, text := bob.ask(message.Subscribe, manager, fmt.Sprintf(`{"resources":["%s"]}`, u)); code != 403 {
			t.Errorf("subscribe %s: %d %s", u, code, text)
		}
	}
	bob.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s"]}`, bob.runtime.Join("p2phandler", "h")))
	for body, want := range map[string]int{`{}`: 400, `{"resources":[]}`: 400, `{"resources":["no address"]}`: 400, `{"resources":5}`: 400,
		`{"resources":[[[[[["comm://example.com/deep"]]]]]]}`: 400, `{"resources":[["comm://example.com/nested/changes"]]}`: 200} {
		if code, text := bob.ask(message.Subscribe, manager, body); code != want {
			t.Errorf("%s: %d %s, want %d", body, code, text, want)
		}
	}
	var many []string
	for i := range 11 {
		many = append(many, fmt.Sprintf("comm://example.com/%d/changes", i))
	}
	if code, text := bob.ask(message.Subscribe, manager, string(message.Encode(map[string]any{"resources": many}))); code != 429 {
		t.Errorf("too many: %d %s", code, text)
	}
	bob.must(message.Unsubscribe, manager, fmt.Sprintf(`{"unsubscribe":["%s/changes"]}`, object))
	alice.send(update)
	carol.message()
	bob.sync()
}

func TestFanOut(t *testing.T) {
	n := start(t, Options{})
	alice := n.join(t, 1)
	object := alice.allocate(`{"scheme":"comm"}`)[0]
	var observers []*client
	for i := range 50 {
		o := n.join(t, 100+i)
		o.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/changes"]}`, object))
		observers = append(observers, o)
	}
	for i := range 20 {
		alice.send(message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: object, To: object.Join("changes")})
	}
	for _, o := range observers {
		for i := range 20 {
			if m := o.message(); m.ID != message.NumberID(uint64(i+1)) {
				t.Fatalf("got %s, want %d", m.ID, i+1)
			}
		}
	}
}

func entryOf(runtime, u message.URL, more string) string {
	return fmt.Sprintf(`{"value":{"url":"%s","descriptor":"hyperty-catalogue://catalogue.example.com/.well-known/hyperty/Echo",
		"user":"user://example.com/bob","guid":"user-guid://g1","expires":3600,"status":"live","resources":["chat","voice"],"dataSchemes":["comm"],
		"runtime":"%s","p2pHandler":"%s/p2phandler/h1"%s}}`, u, runtime, runtime, more)
}

func TestDomainRegistry(t *testing.T) {
	n := start(t, Options{Limits: Limits{Registrations: 2}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	bob.must(message.Create, lookups, entryOf(bob.runtime, u, `,"p2pHandlers":[{"name":"quic"}]`))
	read := func(body string, want int) map[string]any {
		t.Helper()
		code, text := alice.ask(message.Read, lookups, body)
		if code != want {
			t.Fatalf("read %s: %d %s, want %d", body, code, text, want)
		}
		var v map[string]any
		if code != 404 && json.Unmarshal([]byte(text), &v) != nil {
			t.Fatal(text)
		}
		return v
	}
	e := read(`{"resource":"hyperty://example.com/bob"}`, 200)
	if e["hypertyID"] != string(u) || e["userID"] != "user://example.com/bob" || e["runtime"] != string(bob.runtime) || e["status"] != "live" ||
		e["url"] != nil || e["p2pHandlers"] == nil || !strings.HasSuffix(fmt.Sprint(e["lastModified"]), "Z") {
		t.Errorf("%v", e)
	}
	for _, resource := range []string{"user://example.com/bob", "/hyperty/user/user://example.com/bob", "user-guid://g1", "/hyperty/idp-identifier/bob@example.com"} {
		if v := read(fmt.Sprintf(`{"resource":"%s","criteria":{"resources":["chat"],"dataSchemes":["comm"]}}`, resource), 200); v[string(u)] == nil {
			t.Errorf("%s: %v", resource, v)
		}
	}
	read(`{"criteria":{"scheme":"hyperty","resources":["voice","chat"]}}`, 200)
	read(`{"resource":"user://example.com/bob","criteria":{"resources":["video"]}}`, 404)
	read(`{"resource":"user://example.com/eve"}`, 404)
	read(`{"resource":"hyperty://example.com/eve"}`, 404)
	if code, _ := alice.ask(message.Read, lookups, `{}`); code != 400 {
		t.Error("read without what:", code)
	}
	if code, _ := alice.ask(message.Read, "global://registry", `{"resource":"hyperty://example.com/bob"}`); code != 200 {
		t.Error("global://registry:", code)
	}
	// Only its own runtime changes an entry.
	for name, body := range map[string]string{
		"another's URL":     entryOf(alice.runtime, u, ""),
		"nobody's URL":      entryOf(alice.runtime, "hyperty://example.com/free", ""),
		"another's runtime": entryOf(bob.runtime, alice.runtime.Join("h"), ""),
	} {
		if code, text := alice.ask(message.Create, lookups, body); code != 403 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text := alice.ask(message.Update, lookups, `{"resource":"hyperty://example.com/bob","value":{"status":"disconnected"}}`); code != 403 {
		t.Errorf("another's update: %d %s", code, text)
	}
	for body, want := range map[string]int{
		strings.Replace(entryOf(bob.runtime, u, ""), `"dataSchemes":["comm"],`, "", 1): 400,
		strings.Replace(entryOf(bob.runtime, u, ""), `"live"`, `"sleepy"`, 1):          400,
		strings.Replace(entryOf(bob.runtime, u, ""), "3600", "0", 1):                   400,
		entryOf(bob.runtime, "no-url", ""):                                             400,
		`{}`:                                                                           400,
		entryOf(bob.runtime, u, `,"name":"`+strings.Repeat("x", 70_000)+`"`):           413,
	} {
		if code, text := bob.ask(message.Create, lookups, body); code != want {
			t.Errorf("%.60s: %d %s, want %d", body, code, text, want)
		}
	}
	second := bob.allocate(`{"scheme":"comm","value":{"number":2}}`)
	object := `{"value":{"url":"%s","schema":"s","name":"room","reporter":"r","resources":[],"dataSchemes":[],"status":"live","expires":10,"runtime":"%s"}}`
	bob.must(message.Create, lookups, fmt.Sprintf(object, second[0], bob.runtime))
	if v := read(`{"resource":"room"}`, 200); v[string(second[0])] == nil {
		t.Errorf("by name: %v", v)
	}
	if code, text := bob.ask(message.Create, lookups, fmt.Sprintf(object, second[1], bob.runtime)); code != 429 {
		t.Errorf("a third entry: %d %s", code, text)
	}

	// Unregister in every form, and live again; subscribers get it.
	alice.must(message.Subscribe, manager, `{"subscribe":["hyperty://example.com/bob/registration"]}`)
	for _, form := range []string{
		`{"resource":"/hyperty/bob","value":"disconnected","attribute":"status"}`,
		`{"resource":"/hyperty/hyperty://example.com/bob","value":"disconnected","attribute":"status"}`,
		`{"resource":"hyperty://example.com/bob","value":{"status":"disconnected"}}`,
		`{"resource":"hyperty://example.com/bob","value":"disconnected"}`,
	} {
		bob.must(message.Update, lookups, form)
		notice := alice.message()
		if notice.From != lookups || notice.To != u.Join("registration") || !strings.Contains(string(notice.Body), state.Disconnected) {
			t.Errorf("%s: notice %+v", form, notice)
		}
		if e := read(`{"resource":"hyperty://example.com/bob"}`, 408); e["status"] != state.Disconnected {
			t.Errorf("%v", e)
		}
		read(`{"resource":"user://example.com/bob"}`, 408)
		bob.must(message.Update, lookups, `{"resource":"hyperty://example.com/bob"}`) // keep alive
		alice.message()
	}
	bob.must(message.Delete, lookups, `{"resource":"hyperty://example.com/bob"}`)
	alice.message()
	bob.must(message.Update, lookups, `{"resource":"hyperty://example.com/bob","value":{"status":"live","p2pHandler":"x"},"method":"refresh"}`)
	alice.message()
	if e := read(`{"resource":"hyperty://example.com/bob"}`, 200); e["p2pHandler"] != "x" || e["runtime"] != string(bob.runtime) {
		t.Errorf("%v", e)
	}
	for body, want := range map[string]int{`{"resource":"hyperty://example.com/nobody"}`: 404, `{}`: 400, `{"resource":"hyperty://example.com/bob","value":{"status":"x"}}`: 400,
		`{"resource":"hyperty://example.com/bob","value":[1]}`: 400} {
		if code, text := bob.ask(message.Update, lookups, body); code != want {
			t.Errorf("update %s: %d %s, want %d", body, code, text, want)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Times: Times{Sweep: 50 * time.Millisecond, Grace: 100 * time.Millisecond}})
	alice, bob := n.join(t, 1), n.join(t, 2)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	alice.must(message.Subscribe, manager, `{"subscribe":["hyperty://example.com/bob/registration"]}`)
	bob.must(message.Create, lookups, strings.Replace(entryOf(bob.runtime, u, ""), "3600", "1", 1))
	if m := alice.message(); m.To != u.Join("registration") || !strings.Contains(string(m.Body), state.Live) {
		t.Errorf("notice of the first registration: %+v", m)
	}
	if notice := alice.message(); !strings.Contains(string(notice.Body), state.Disconnected) {
		t.Errorf("notice %+v", notice)
	}
	if code, _ := alice.ask(message.Read, lookups, `{"resource":"hyperty://example.com/bob"}`); code != 408 {
		t.Error(code)
	}
	// A runtime that has lost its connection is listed as disconnected, however new its entry is, and as live once it is back.
	bob.must(message.Create, lookups, entryOf(bob.runtime, u, ""))
	alice.message() // live again
	bob.ws.CloseNow()
	if notice := alice.message(); !strings.Contains(string(notice.Body), state.Disconnected) {
		t.Errorf("notice %+v", notice)
	}
	bob = n.join(t, 2)
	bob.must(message.Update, lookups, `{"resource":"hyperty://example.com/bob","value":{"status":"live"}}`)
	if notice := alice.message(); !strings.Contains(string(notice.Body), state.Live) {
		t.Errorf("notice %+v", notice)
	}
	// Subscriptions outlive their connection for the grace period, and no longer.
	alice.ws.CloseNow()
	eventually(t, "the subscription is gone", func() bool { return n.state.Subscriptions.Count("r:"+string(alice.runtime)) == 0 })
	if n.state.Owner(u) != bob.runtime {
		t.Error("an allocation is gone")
	}
}

func TestWriteRate(t *testing.T) {
	n := start(t, Options{Limits: Limits{Writes: 1}})
	alice := n.join(t, 1)
	codes := map[int]int{}
	for range 15 {
		code, _ := alice.ask(message.Create, allocator, `{}`)
		codes[code]++
	}
	if codes[200] < 10 || codes[429] == 0 || len(codes) != 2 {
		t.Error(codes)
	}
}

func TestStateOutlivesTheNode(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, Options{Data: data})
	alice, bob := n.join(t, 1), n.join(t, 2)
	u := bob.allocate(`{"value":{"identifier":"bob"}}`)[0]
	block := bob.allocate(`{"scheme":"comm","value":{"number":3}}`)
	bob.must(message.Create, lookups, entryOf(bob.runtime, u, ""))
	alice.must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/changes"]}`, block[0]))
	n.stop()
	if code, reason := alice.closed(); code != 1001 {
		t.Errorf("closed with %d %s", code, reason)
	}
	n = start(t, Options{Data: data})
	alice, bob = n.join(t, 1), n.join(t, 2)
	if code, _ := alice.ask(message.Read, lookups, `{"resource":"hyperty://example.com/bob"}`); code != 200 {
		t.Error("registration:", code)
	}
	if code, _ := alice.ask(message.Create, allocator, `{"value":{"identifier":"bob"}}`); code != 409 {
		t.Error("wished identifier:", code)
	}
	alice.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: alice.runtime, To: u})
	if m := bob.message(); m.To != u {
		t.Errorf("got %+v", m)
	}
	bob.send(message.Message{ID: message.NumberID(1), Type: message.Update, From: block[0], To: block[0].Join("changes")})
	if m := alice.message(); m.From != block[0] {
		t.Errorf("got %+v", m)
	}
}
