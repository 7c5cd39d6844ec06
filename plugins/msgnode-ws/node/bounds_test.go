package node

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/allocation"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/registry"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/subscriptions"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

// spent is how many bytes f allocates.
func spent(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// still makes a node whose state is in memory alone and cannot be written, and a connection of the dialect.
func still(d conn.Dialect) (*Node, *routing.Client) {
	o := Options{Domain: domain, Data: "none", Limits: Limits{Requests: 1 << 28}}.withDefaults()
	n := &Node{opts: o, rates: rates.New(o.Limits), state: state.InMemory(domain)}
	n.parts.writes = &writes.Writes{Rates: n.rates, NATS: fault{}, Log: o.Log}
	n.parts.rights = &rights.Rights{Domain: domain, State: n.state, Connected: func(message.URL) bool { return false }}
	n.parts.allocation = allocation.New(domain, o.Limits, n.state, n.parts.writes, nil, o.Log)
	n.parts.subscriptions = subscriptions.New(o.Limits, n.state, n.parts.writes, n.parts.rights, noRouter{}, o.Log)
	n.parts.registry = registry.New(domain, o.Limits, n.state, n.parts.writes, n.parts.rights, nil)
	c := conn.NewSet(context.Background(), conn.Options{}).New(quota.Source{}, d)
	alice, _ := identity(1)
	c.SetRuntime(alice)
	return n, routing.NewClient(c, rates.NewSpending(context.Background(), n.rates, quota.Source{}, c.ID), nil)
}

// fault lets nothing be written.
type fault struct{}

func (fault) Fault() string { return "the test writes nothing" }

// noRouter is the router of a node that has no other nodes; nothing else is asked of it.
type noRouter struct{ subscriptions.Router }

func (noRouter) Cluster() bool                                       { return false }
func (noRouter) Unwant(*routing.Client, message.URL, routing.Reason) {}

// perByte is how many bytes of memory a byte of a request may cost at most, while the node works on it, besides a fixed amount.
// Lists of very short strings cost most.
const perByte, fixed = 200, 8 << 20

// readAll makes every function of the node read a body, as far as that writes nothing.
func readAll(n *Node, c *routing.Client, body []byte) {
	for _, kind := range []message.Type{message.Create, message.Read, message.Update, message.Delete, message.Subscribe, message.Unsubscribe} {
		m := message.Message{ID: message.NumberID(1), Type: kind, From: c.Runtime(), To: manager, Body: body}
		switch kind {
		case message.Subscribe, message.Unsubscribe:
			n.parts.subscriptions.Answer(c, m)
		case message.Read, message.Update, message.Create:
			n.parts.registry.Answer(c, m)
		case message.Delete:
			n.parts.registry.Answer(c, m)
			n.parts.allocation.Answer(c, m)
		}
	}
}

// What a request lists and multiplies is bounded before memory is spent on it.
func TestRequestsAreBounded(t *testing.T) {
	n, c := still(conn.Binary)
	list := func(format string, count int) string {
		texts := make([]string, count)
		for i := range texts {
			texts[i] = `"` + fmt.Sprintf(format, i) + `"`
		}
		return "[" + strings.Join(texts, ",") + "]"
	}
	for name, body := range map[string]string{
		"resource × children":         `{"resource":` + list("comm://example.com/%d", 3000) + `,"childrenResources":` + list("%d", 3000) + `}`,
		"long children":               `{"resource":` + list("comm://example.com/%d", 1000) + `,"childrenResources":"` + strings.Repeat("x", 900_000) + `"}`,
		"many short names":            `{"resources":[` + strings.Repeat(`"",`, 300_000) + `""]}`,
		"many lists":                  `{"resources":[` + strings.Repeat(`[],`, 300_000) + `[]]}`,
		"lists in lists":              `{"resources":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`,
		"nothing, often":              `{"resources":[` + strings.Repeat(`null,`, 200_000) + `null]}`,
		"many names of members":       `{"value":{` + members(60_000) + `}}`,
		"objects in objects":          strings.Repeat(`{"value":`, 9000) + `1` + strings.Repeat(`}`, 9000),
		"criteria":                    `{"resource":"x","criteria":{"resources":` + list("%d", 100_000) + `}}`,
		"a child of every resource":   `{"resource":` + list("comm://example.com/%d", 8000) + `,"childrenResources":"x"}`,
		"the largest that is all new": `{"resources":` + list("comm://example.com/%d/changes", 4096) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			if used := spent(func() { readAll(n, c, []byte(body)) }); used > fixed+perByte*uint64(len(body)) {
				t.Errorf("%d bytes cost %d", len(body), used)
			}
		})
	}
	// A message to several addresses counts as several messages.
	to := `{"id":1,"type":"create","from":"runtime://example.com/a","to":` + list("hyperty://example.com/%d", refjson.MaxRecipients) + `,"body":{"value":"%s"}}`
	if _, err := refjson.Parse(fmt.Appendf(nil, to, strings.Repeat("x", 20_000))); err != nil {
		t.Errorf("20 kB to %d: %v", refjson.MaxRecipients, err)
	}
	if _, err := refjson.Parse(fmt.Appendf(nil, to, strings.Repeat("x", 900_000))); err == nil {
		t.Errorf("900 kB to %d were accepted", refjson.MaxRecipients)
	}
}

func members(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return b.String() + `"x":1`
}

// One request as a user sees it: it is refused, and the node goes on.
func TestProductOfListsIsRefused(t *testing.T) {
	n := start(t, Options{})
	alice := n.join(t, 1)
	list := func(format string) string {
		texts := make([]string, 4000)
		for i := range texts {
			texts[i] = fmt.Sprintf(format, i)
		}
		return string(message.Encode(texts))
	}
	body := `{"resource":` + list("comm://example.com/%d") + `,"childrenResources":` + list("%d") + `}`
	var code int
	if used := spent(func() { code, _ = alice.ask(message.Subscribe, manager, body) }); used > 64<<20 || code != 429 {
		t.Errorf("%d bytes cost %d and were answered %d", len(body), used, code)
	}
	alice.sync()
}

// A short read that would have a large answer costs no more than the part of it that is sent.
func TestLargeAnswersAreNotComputed(t *testing.T) {
	n, c := still(conn.Binary)
	put := func(count int, field string) {
		for i := range count {
			u := message.URL(fmt.Sprintf("hyperty://example.com/%s%d", field, i))
			n.state.Registrations.Set(state.RegistrationKey(u), &state.Registration{URL: u, Owner: c.Runtime(), Status: state.Live, Expires: 3600, Modified: time.Now(),
				Fields: map[string]json.RawMessage{field: message.Encode(strings.Repeat("x", 60_000)), "user": message.Encode("user://example.com/" + field)}}, 60_000, uint64(i+1))
		}
	}
	put(1000, "more")
	put(500, "resources")
	for _, body := range []string{`{"resource":"user://example.com/more"}`, `{"criteria":{"scheme":"hyperty"}}`,
		`{"resource":"user://example.com/resources","criteria":{"resources":["y"]}}`} {
		var r *refusal.Refusal
		var answer message.Message
		used := spent(func() {
			answer, r = n.parts.registry.Answer(c, message.Message{ID: message.NumberID(1), Type: message.Read, From: c.Runtime(), To: lookups, Body: []byte(body)})
		})
		if (r == nil) != strings.Contains(string(answer.Body), `"more":true`) || r != nil && r.Code != 413 || used > 16<<20 {
			t.Errorf("%s: %v, %.80s for %d bytes", body, r, answer.Body, used)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, body := range []string{`{"resource":["comm://example.com/a"],"childrenResources":["b",["c"]]}`, `{"resources":"comm://example.com/a/changes"}`,
		`{"scheme":"comm","value":{"number":2,"allocationKey":"k","identifier":"x"}}`, `{"resource":"/hyperty/user/user://example.com/bob","criteria":{"resources":["chat"]}}`,
		`{"value":{"url":"hyperty://example.com/bob","status":"live","expires":1,"runtime":"r"}}`, `{"subscribe":[[[["a://b/c"]]]],"Unsubscribe":null}`} {
		f.Add([]byte(body))
	}
	n, c := still(conn.Binary)
	_, legacy := still(conn.PlainJSON)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > message.MaxBody {
			return
		}
		used := spent(func() { readAll(n, c, body); readAll(n, legacy, body) })
		if used > fixed+2*perByte*uint64(len(body)) {
			t.Fatalf("%d bytes cost %d", len(body), used)
		}
	})
}

// What is made of a long name is refused before it is made.
func TestLongNamesAreNotMultiplied(t *testing.T) {
	n, c := still(conn.Binary)
	body := `{"resource":["comm://example.com/a","comm://example.com/b"],"childrenResources":"` + strings.Repeat("x", 500_000) + `"}`
	// Four copies, each of which the allocator rounds up.
	if used := spent(func() { n.parts.subscriptions.Answer(c, message.Message{Type: message.Subscribe, Body: []byte(body)}) }); used > 5*500_000 {
		t.Errorf("a long name cost %d", used)
	}
}
