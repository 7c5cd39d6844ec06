package core_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// unaware is a sender, a receiver and an observed object whose runtimes have paths that come and go. Nobody is told of that.
type unaware struct {
	t        *testing.T
	a, b     *running
	alice    *hyperty.Hyperty
	to       message.URL
	got      *ledger
	reporter *syncher.Reporter
	copied   *syncher.Observer
	list     []*hyperty.Delivery
}

func newUnaware(t *testing.T, o runtimeOptions) *unaware {
	t.Helper()
	o.change = served
	u := &unaware{t: t, a: startRuntime(t, o), b: startRuntime(t, o)}
	u.alice = u.a.application("alice")
	bob := u.b.application("bob")
	u.to, u.got = bob.URL(), newLedger(bob)
	var err error
	if u.reporter, err = u.alice.Objects().Create(t.Context(), syncher.Object{Scheme: "comm", ID: "board", Data: json.RawMessage(`{"n":0}`)}); err != nil {
		t.Fatal(err)
	}
	u.copied = observe(t, bob, u.reporter.URL()).Observer
	return u
}

// step sends the next message and makes the next change.
func (u *unaware) step() {
	u.t.Helper()
	n := len(u.list) + 1
	d, err := u.alice.SendTracked(u.t.Context(), u.to, message.Update, map[string]int{"n": n})
	if err != nil {
		u.t.Fatalf("message %d: %v", n, err)
	}
	u.list = append(u.list, d)
	if err := u.reporter.Set(u.t.Context(), "n", n); err != nil {
		u.t.Fatalf("change %d: %v", n, err)
	}
}

// flows takes so many steps, each when what it has sent has come.
func (u *unaware) flows(count int) {
	u.t.Helper()
	for range count {
		u.step()
		if o, err := await(u.list[len(u.list)-1]); err != nil || o.State != hyperty.Delivered {
			u.t.Fatalf("message %d: %v, %v", len(u.list), o, err)
		}
	}
}

// finish checks that each message is delivered, once and in order, and that the observer has seen each change and nothing else.
func (u *unaware) finish() {
	u.t.Helper()
	if count := settled(u.t, u.list, nil); count[hyperty.Delivered] != len(u.list) {
		u.t.Errorf("of %d messages: %v", len(u.list), count)
	}
	u.got.reach(u.t, len(u.list))
	for n := 1; n <= len(u.list); n++ {
		c, err := u.copied.Next(u.t.Context())
		var got int
		if err != nil || c.Operation != syncher.OpSet || c.Resync || json.Unmarshal(c.Value, &got) != nil || got != n {
			u.t.Fatalf("change %d: %+v, %v", n, c, err)
		}
	}
}

// A direct path comes, dies at either end, and comes again. Sender, receiver and observer notice nothing.
func TestNobodyIsToldOfPaths(t *testing.T) {
	t.Parallel()
	nobodyIsToldOfPaths(t, oneTransport(t))
}

// The same with the other transports.
func TestLongNobodyIsToldOfPaths(t *testing.T) {
	longtest.Skip(t)
	otherTransports(t, nobodyIsToldOfPaths)
}

func nobodyIsToldOfPaths(t *testing.T, transport string) {
	node := startNode(t, "example.com")
	u := newUnaware(t, runtimeOptions{nodes: []*nodeProcess{node}, use: []string{transport}})
	u.flows(5)
	requester, handler := mutual(t, u.a, u.b)
	u.flows(5)
	for _, r := range []*running{requester, handler} {
		since := time.Now()
		kill(t, r.pid(transport))
		u.flows(5)
		r.until("a new direct path", waitTime, func() bool {
			c := append(u.a.connections(u.b), u.b.connections(u.a)...)
			return len(c) == 2 && c[0].State == message.Live && c[0].Since.After(since) && c[1].State == message.Live && c[1].Since.After(since)
		})
		u.flows(5)
	}
	u.finish()
}

// The Message Node is killed, and comes back: what was sent meanwhile arrives, and observers are told nothing but the changes.
func TestNobodyIsToldOfANodeThatIsBack(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	u := newUnaware(t, runtimeOptions{nodes: []*nodeProcess{node}, policy: "never"})
	for range 3 {
		u.flows(3)
		node.kill()
		for range 3 {
			u.step()
		}
		node.start()
	}
	u.flows(3)
	u.finish()
}

// The Message Node is killed and stays away: messages that have no other way expire in their time, others go on.
func TestTheNodeStaysAway(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	start := func(name string, use ...string) *running {
		return startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{node}, use: use, change: func(c *core.Config) {
			served(c)
			core.SetUnacked(c, 2*time.Second)
		}})
	}
	a, b, c := start("a", oneTransport(t)), start("b", oneTransport(t)), start("c")
	alice, bob, carol := a.application("alice"), b.application("bob"), c.application("carol")
	bob.Handle(answer)
	carol.Handle(answer)
	for _, to := range []*hyperty.Hyperty{bob, carol} {
		if _, err := alice.Request(t.Context(), to.URL(), message.Read, nil); err != nil {
			t.Fatal(err)
		}
	}
	mutual(t, a, b)
	node.kill()
	direct, relayed := tracks(t, alice, bob.URL(), 10), tracks(t, alice, carol.URL(), 10)
	if count := settled(t, direct, nil); count[hyperty.Delivered] != len(direct) {
		t.Errorf("over the direct path: %v", count)
	}
	for _, d := range relayed {
		if o, err := await(d); err != nil || o.State != hyperty.Expired {
			t.Errorf("%v, %v", o, err)
		}
	}
}

// A runtime that does not trust another neither sends to it nor takes what comes. A sender of its own is told at once, with what the
// operator has to do; one at the other runtime when the message's time ends, since nobody says to it that it is not trusted.
func TestOutcomesWithoutTrust(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	start := func(name string, trusted ...message.URL) *running {
		return startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{node}, policy: "never", change: func(c *core.Config) {
			served(c)
			core.SetUnacked(c, 2*time.Second)
			c.Trust.Peers = trusted
		}})
	}
	a := start("a")
	b := start("b", message.URL("hyperty-runtime://example.com/"+strings.Repeat("a", 32)))
	alice, bob := a.application("alice"), b.application("bob")
	alice.Handle(answer)
	bob.Handle(answer)
	for what, c := range map[string]struct {
		from *hyperty.Hyperty
		to   message.URL
		want hyperty.DeliveryState
	}{"from the side that refuses": {bob, alice.URL(), hyperty.Refused}, "to the side that refuses": {alice, bob.URL(), hyperty.Expired}} {
		for _, d := range tracks(t, c.from, c.to, 3) {
			o, err := await(d)
			told := o.Code == message.CodeForbidden && strings.Contains(o.Reason, "trust.peers")
			if err != nil || o.State != c.want || told != (o.State == hyperty.Refused) {
				t.Errorf("%s: %v, %v", what, o, err)
			}
		}
	}
}
