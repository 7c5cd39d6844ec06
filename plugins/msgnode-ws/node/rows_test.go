package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// The defaults let a runtime have all the addresses and subscriptions that it may have, and an entry on top.
func TestDefaultsHoldWhatARuntimeMayHave(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("8192 writes to the disk")
	}
	l := DefaultLimits()
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Writes: 1 << 20, Requests: 1 << 20, AddressRequests: 1 << 20}})
	alice := n.join(t, 1)
	var all []string
	for range l.Addresses / l.Block {
		for _, u := range alice.allocate(fmt.Sprintf(`{"value":{"number":%d,"allocationKey":"an allocation key"}}`, l.Block)) {
			all = append(all, fmt.Sprintf("%q", u.Join("changes")))
		}
	}
	if code, text := alice.ask(message.Create, allocator, `{}`); code != 429 || !strings.Contains(text, "addresses") {
		t.Errorf("one more: %d %s", code, text)
	}
	addresses := n.state.Weighs("r:" + string(alice.runtime))
	alice.must(message.Subscribe, manager, `{"resources":[`+strings.Join(all, ",")+`]}`)
	state := n.state.Weighs("r:" + string(alice.runtime))
	t.Logf("%d bytes of addresses, %d with subscriptions, of %d", addresses, state, l.RuntimeState)
	if state > l.RuntimeState/16*15 {
		t.Errorf("%d bytes of %d", state, l.RuntimeState)
	}
	u := alice.runtime.Join("x")
	alice.must(message.Create, lookups, entryOf(alice.runtime, u, fmt.Sprintf(`,"more":%q`, strings.Repeat("x", l.Entry-2000))))
	alice.must(message.Delete, allocator, `{"resource":"an allocation key"}`)
	if have := n.state.Allocations.Count("r:" + string(alice.runtime)); have != 0 {
		t.Errorf("%d addresses are left", have)
	}
}

// A request pays for every row that it writes: a block of addresses pays for each of them.
func TestRowsArePaidFor(t *testing.T) {
	n := start(t, Options{Exempt: everyAddress, Limits: Limits{Requests: 100, AddressRequests: 100, Writes: 1 << 20}})
	mallory, alice := n.join(t, 1), n.joinAt(t, "127.0.0.2", 2)
	granted := 0
	for ; granted < 10; granted++ {
		if code, text := mallory.ask(message.Create, allocator, `{"value":{"number":256}}`); code == 429 && strings.Contains(text, "try again") {
			break
		} else if code != 200 {
			t.Fatalf("%d %s", code, text)
		}
	}
	if granted == 0 || granted == 10 { // it would be more than a hundred if a block cost no more than one address
		t.Errorf("%d blocks at once", granted)
	}
	alice.allocate(`{}`)
}

// A full state still notes which runtimes are connected, so that their addresses are not freed.
func TestFullStateKeepsAddresses(t *testing.T) {
	data := t.TempDir()
	n := start(t, Options{Data: data})
	alice, _ := identity(1)
	yesterday := time.Now().UTC().Add(-24 * time.Hour).Truncate(24 * time.Hour)
	u := message.URL("comm://example.com/a")
	if err := n.parts.allocation.Grant(t.Context(), state.Allocation{Runtime: alice, Address: u, Seen: yesterday, Source: "x"}); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = start(t, Options{Data: data, Limits: Limits{State: 1, RuntimeState: 1, AddressState: 1, Rows: 1}, Times: Times{Sweep: 10 * time.Millisecond}})
	before := n.state.Allocations.Weighs("s:x")
	n.join(t, 1)
	eventually(t, "it is noted", func() bool { return n.state.Allocations.Get(state.SeenKey(alice)) != nil })
	if n.state.Owner(u) != alice || n.state.Allocations.Count("r:"+string(alice)) != 1 || n.state.Allocations.Weighs("s:x") <= before {
		t.Errorf("owner %s, %d addresses, %d bytes", n.state.Owner(u), n.state.Allocations.Count("r:"+string(alice)), n.state.Allocations.Weighs("s:x"))
	}
}
