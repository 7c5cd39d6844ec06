package registry

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// still makes a registry whose state is in memory alone and cannot be written, and a connection of a runtime.
func still(t *testing.T) (*Registry, *routing.Client) {
	t.Helper()
	l := limits.Defaults()
	l.Requests = 1 << 28
	conns := conn.NewSet(t.Context(), conn.Options{})
	c := conns.New(quota.Source{}, conn.Binary)
	c.SetRuntime("hyperty-runtime://example.com/alice")
	client := routing.NewClient(c, rates.NewSpending(t.Context(), rates.New(l), quota.Source{}, c.ID), nil)
	return New("example.com", l, state.InMemory("example.com"), nil, nil, nil), client
}

// crowd enters so many entries for bob, of so many owners at each of so many addresses.
func crowd(n *Registry, addresses, owners, each int, began time.Time) {
	number := 0
	for a := range addresses {
		for o := range owners {
			for range each {
				number++
				put(n, fmt.Sprintf("address%d", a), fmt.Sprintf("runtime://example.com/a%d-o%d", a, o), number, began, "")
			}
		}
	}
}

func put(n *Registry, source, owner string, number int, began time.Time, more string) message.URL {
	u := message.URL(fmt.Sprintf("hyperty://example.com/%s-%d", source, number))
	at := began.Add(time.Duration(number) * time.Millisecond)
	rows, _ := n.state.Registrations.Size()
	n.state.Registrations.Set(state.RegistrationKey(u), &state.Registration{URL: u, Owner: message.URL(owner), Source: source, Status: state.Live, Expires: 3600, Started: at, Modified: time.Now(),
		Fields: map[string]json.RawMessage{"user": json.RawMessage(`"user://example.com/bob"`), "more": message.Encode(more)}}, 300+len(more), uint64(rows+1))
	return u
}

func lookForBob(t *testing.T, n *Registry, c *routing.Client) (found map[message.URL]json.RawMessage, more bool) {
	t.Helper()
	answer, r := n.look(c, message.Message{ID: message.NumberID(1), Type: message.Read, From: c.Runtime(), To: "domain://registry.example.com", Body: []byte(`{"resource":"user://example.com/bob"}`)})
	if r != nil {
		t.Fatalf("%d %s", r.Code, r.Text)
	}
	if err := answer.Check(); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Value map[message.URL]json.RawMessage
		More  bool
	}
	if err := answer.Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body.Value, body.More
}

// An answer without room for all entries has some of each address, there of each runtime, and those that came first.
func TestFairAnswers(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	big, sizes := strings.Repeat("x", 60<<10), []int{5 << 10, 200}
	for name, c := range map[string]struct {
		crowd func(n *Registry) // before bob's entry, which is the 1,000,000th
		found bool
	}{
		"one runtime":                      {func(n *Registry) { crowd(n, 1, 1, 1024, began) }, true},
		"many runtimes of one address":     {func(n *Registry) { crowd(n, 1, 20_000, 1, began) }, true},
		"999 addresses":                    {func(n *Registry) { crowd(n, 999, 10, 2, began) }, true},
		"1,000 addresses that were first":  {func(n *Registry) { crowd(n, 1000, 1, 2, began) }, false},
		"20,000 addresses that came later": {func(n *Registry) { crowd(n, 20_000, 1, 1, began.Add(time.Hour)) }, true},
		"20,000 addresses of one IPv6 site": {func(n *Registry) {
			for i := range 20_000 {
				from := n.state.SourceTerm((&quota.Sources{}).Of(netip.MustParseAddr(fmt.Sprintf("2001:db8:7:%x::1", i))))
				put(n, from, fmt.Sprintf("runtime://example.com/%d", i), i, began, "")
			}
		}, true},
		"large entries of 200 addresses": {func(n *Registry) {
			for i := range 200 {
				put(n, fmt.Sprintf("address%d", i), fmt.Sprintf("runtime://example.com/%d", i), i, began, big)
			}
		}, true},
		"large entries, and small ones that fill what is left": {func(n *Registry) {
			for i := range 300 {
				put(n, fmt.Sprintf("address%d", i), fmt.Sprintf("runtime://example.com/%d", i), i, began, big[:sizes[min(i/250, 1)]])
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, reader := still(t)
			c.crowd(n)
			mine := put(n, "home", "runtime://example.com/bob", 1_000_000, began, "")
			found, more := lookForBob(t, n, reader)
			if (found[mine] != nil) != c.found || !more || len(found) > n.limits.Results {
				t.Errorf("found %v, more %v, of %d", found[mine] != nil, more, len(found))
			}
		})
	}
}

// If bob shares an address with a stranger's many runtimes, he is found if he came before most of them.
func TestFairAtOneAddress(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	for name, crowds := range map[string]time.Time{"before": began, "behind": began.Add(time.Hour)} {
		n, reader := still(t)
		crowd(n, 1, 500, 3, crowds)
		mine := put(n, "address0", "runtime://example.com/bob", 1_000_000, began, "")
		if found, _ := lookForBob(t, n, reader); found[mine] == nil {
			t.Errorf("bob is not found with 500 runtimes with 3 entries each that came %s his", name)
		}
	}
}

// Entries that do not match the request hide none that does, even if there are more of them than an answer may have; how many
// are looked at is bounded.
func TestOthersThatDoNotFit(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	for addresses, want := range map[int]int{1500: 200, maxLooked*1000 + 1: 413} {
		n, reader := still(t)
		crowd(n, addresses, 1, 1, began)
		mine := put(n, "home", "runtime://example.com/bob", 1_000_000, began, "")
		n.state.Registrations.Get(state.RegistrationKey(mine)).Fields["resources"] = json.RawMessage(`["chat"]`)
		answer, r := n.look(reader, message.Message{ID: message.NumberID(1), Type: message.Read, From: reader.Runtime(), To: "domain://registry.example.com",
			Body: []byte(`{"resource":"user://example.com/bob","criteria":{"resources":["chat"]}}`)})
		code := 200
		if r != nil {
			code = r.Code
		}
		if code != want || code == 200 && !strings.Contains(string(answer.Body), string(mine)) {
			t.Errorf("%d addresses: %d %.200s", addresses, code, answer.Body)
		}
	}
}

// An entry that was removed, replaced, moved or entered twice is found once if it exists, else not.
func TestShelvesFollowTheTable(t *testing.T) {
	n, reader := still(t)
	began := time.Now().Add(-time.Hour)
	var all []message.URL
	for i := range 3000 { // in random order, and enough for several chunks
		all = append(all, put(n, fmt.Sprintf("address%d", i*7919%1500), fmt.Sprintf("runtime://example.com/%d", i%400), i*7919%3000, began, ""))
	}
	user := "user:user://example.com/bob"
	if got := n.state.Registrations.Count(user); got != 3000 {
		t.Fatalf("%d are counted", got)
	}
	again := put(n, "address0", "runtime://example.com/0", 0, began, "changed")
	if got := n.state.Registrations.Count(user); got != 3000 {
		t.Errorf("%d are counted after a change of %s", got, again)
	}
	for i, u := range all[:2990] {
		n.state.Registrations.Set(state.RegistrationKey(u), nil, 0, uint64(10_000+i))
	}
	if found, more := lookForBob(t, n, reader); len(found) != 10 || more || n.state.Registrations.Count(user) != 10 {
		t.Errorf("%d are found, %d counted, more: %v", len(found), n.state.Registrations.Count(user), more)
	}
	for i, u := range all[2990:] {
		n.state.Registrations.Set(state.RegistrationKey(u), nil, 0, uint64(20_000+i))
	}
	if n.state.Registrations.Count(user) != 0 || n.state.Registrations.Shelves.Terms() != 0 {
		t.Errorf("%d shelves are left", n.state.Registrations.Shelves.Terms())
	}
}

// An answer that has room for all entries has no mark that some are left out.
func TestSmallAnswersAreWhole(t *testing.T) {
	n, reader := still(t)
	crowd(n, 10, 10, 10, time.Now().Add(-time.Hour))
	if found, more := lookForBob(t, n, reader); len(found) != 1000 || more {
		t.Errorf("%d, more %v", len(found), more)
	}
}
