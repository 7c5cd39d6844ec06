package rights

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

const (
	alice  message.URL = "hyperty-runtime://example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // derived from a key
	bob    message.URL = "hyperty-runtime://example.com/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	plain  message.URL = "hyperty-runtime://example.com/plain" // of the JSON dialects
	here   message.URL = "hyperty-runtime://example.com/here"  // the same, and connected
	mine   message.URL = "hyperty://example.com/of-alice"
	nobody message.URL = "hyperty://example.com/of-nobody"
	other  message.URL = "hyperty://other.example/x"
	stub   message.URL = "hyperty-runtime://example.com/protostub/other.example" // the reference's: under no runtime
	node   message.URL = "domain://registry.example.com"
	far    message.URL = "domain://registry.other.example"
)

// asking is a connection's runtime.
type asking struct {
	runtime  message.URL
	unproved bool
}

func (a asking) Runtime() message.URL { return a.runtime }
func (a asking) Unproved() bool       { return a.unproved }

// rights makes the Rights at a node of example.com, where the address mine is alice's.
func rights() *Rights {
	s := state.InMemory("example.com")
	s.Allocations.Set(state.AddressKey(mine), &state.Allocation{Runtime: alice, Address: mine}, 100, 1)
	return &Rights{Domain: "example.com", State: s, Connected: func(u message.URL) bool { return u == here }}
}

// A runtime sends from, and registers, what is under its URL or allocated to it. One that proves nothing may also use addresses
// without an owner, but never the URL of a runtime with a key or of a connected one.
func TestMayUse(t *testing.T) {
	r := rights()
	proved, unproved := asking{alice, false}, asking{plain, true}
	for _, c := range []struct {
		who     asking
		address message.URL
		may     bool
	}{
		{proved, alice, true}, {proved, alice + "/sm", true}, {proved, mine, true}, {proved, mine + "/part", true},
		{proved, bob, false}, {proved, bob + "/sm", false}, {proved, plain, false}, {proved, nobody, false}, {proved, other, false}, {proved, stub, false},
		{asking{bob, false}, mine, false},
		{unproved, plain, true}, {unproved, plain + "/x", true}, {unproved, "hyperty-runtime://example.com/another", true},
		{unproved, here, false}, {unproved, alice, false}, {unproved, alice + "/sm", false}, {unproved, mine, false},
		{unproved, nobody, true}, {unproved, other, true}, {unproved, stub, true},
		// Nobody may use the node's own addresses.
		{proved, node, false}, {unproved, node, false}, {unproved, far, false}, {unproved, message.SessionAddress, false}, {proved, message.SessionAddress, false},
		{proved, "", false},
	} {
		if got := r.MayUse(c.who, c.address); got != c.may {
			t.Errorf("%s may use %s: %v", c.who.runtime, c.address, got)
		}
	}
}

// Messages from an address of another domain may go to the node's functions, and nowhere else.
func TestMaySend(t *testing.T) {
	r := rights()
	who := asking{alice, false}
	for _, c := range []struct {
		from, to message.URL
		may      bool
	}{
		{mine, nobody, true}, {alice, node, true}, {other, node, true}, {other, nobody, false}, {other, bob, false},
		{nobody, node, false}, {"hyperty://EXAMPLE.com/of-nobody", node, false}, {bob, node, false},
		{"hyperty-runtime://other.example/cccccccccccccccccccccccccccccccc", node, false}, {far, node, false}, {"", node, false},
	} {
		if got := r.MaySend(who, c.from, c.to); got != c.may {
			t.Errorf("from %q to %s: %v", c.from, c.to, got)
		}
	}
}

// Only its owner gets what is sent to an address; everybody may get publications.
func TestMayListen(t *testing.T) {
	r := rights()
	proved, unproved := asking{alice, false}, asking{plain, true}
	for _, c := range []struct {
		who     asking
		address message.URL
		may     bool
	}{
		{proved, alice, true}, {proved, alice + "/sm", true}, {proved, bob, false}, {proved, bob + "/changes", false},
		{proved, mine, true}, {proved, mine + "/subscription", true}, {proved, nobody, false}, {proved, nobody + "/subscription", false},
		{asking{bob, false}, mine, false}, {asking{bob, false}, mine + "/subscription", false},
		{asking{bob, false}, mine + "/changes", true}, {asking{bob, false}, mine + "/registration", true}, {asking{bob, false}, nobody + "/changes", true},
		{proved, other, true}, {proved, other + "/subscription", true},
		{unproved, nobody, true}, {unproved, mine, false}, {unproved, mine + "/subscription", false}, {unproved, here, false}, {unproved, plain, true},
		{unproved, node, false}, {proved, node, false}, {unproved, message.SessionAddress, false},
	} {
		if got := r.MayListen(c.who, c.address); got != c.may {
			t.Errorf("%s may listen at %s: %v", c.who.runtime, c.address, got)
		}
	}
}

// No other server is asked about addresses that cannot be allocated, or that the copy of the state has.
func TestNotJustGranted(t *testing.T) {
	r := rights() // its state is in memory alone
	for _, u := range []message.URL{alice, bob + "/sm", node, mine, mine + "/part"} {
		if r.JustGranted(t.Context(), asking{alice, false}, u) {
			t.Errorf("%s is just granted", u)
		}
	}
}

// bucket is a KV bucket in which another node has written a row.
type bucket struct {
	jetstream.KeyValue
	key     string
	written func() // is called when it is read
}

type row struct{ jetstream.KeyValueEntry }

func (row) Revision() uint64 { return 0 } // which every copy has

func (b *bucket) Get(_ context.Context, key string) (jetstream.KeyValueEntry, error) {
	if key != b.key {
		return nil, jetstream.ErrKeyNotFound
	}
	if b.written == nil {
		return nil, errors.New("out of reach")
	}
	b.written()
	return row{}, nil
}

// An address that another node has just given to a runtime is the runtime's, and nobody else's, before this node's copy of the state
// says so; nothing is asked about addresses that are given to nobody, or whose owner is known.
func TestJustGranted(t *testing.T) {
	const fresh message.URL = "hyperty://example.com/fresh"
	for name, c := range map[string]struct {
		who     message.URL
		address message.URL
		away    bool // the state cannot be reached
		want    bool
	}{
		"its own":                 {alice, fresh, false, true},
		"a part of its own":       {alice, fresh + "/part", false, true},
		"another's":               {bob, fresh, false, false},
		"nobody's":                {alice, nobody, false, false},
		"one that was known":      {alice, mine, false, false},
		"its runtime's":           {alice, alice + "/sm", false, false},
		"the node's":              {alice, node, false, false},
		"one that cannot be read": {alice, fresh, true, false},
	} {
		r, b := rights(), &bucket{key: state.AddressKey(fresh)}
		r.State.Allocations = table.New(b, table.Options[state.Allocation]{Terms: (*state.Allocation).Terms})
		r.State.Allocations.Set(state.AddressKey(mine), &state.Allocation{Runtime: alice, Address: mine}, 100, 1)
		if !c.away {
			b.written = func() { r.State.Allocations.Set(b.key, &state.Allocation{Runtime: alice, Address: fresh}, 100, 1) }
		}
		if got := r.JustGranted(t.Context(), asking{c.who, false}, c.address); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
