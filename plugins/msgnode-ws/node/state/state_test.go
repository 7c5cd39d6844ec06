package state

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

const (
	alice = message.URL("hyperty-runtime://example.com/alice")
	bob   = message.URL("hyperty-runtime://example.com/bob")
)

// An entry of an address is valid as long as the address belongs to the entry's owner.
func TestEntriesOfOthersAddressesAreNotValid(t *testing.T) {
	s := InMemory("example.com")
	const u = message.URL("hyperty://example.com/x")
	r := &Registration{URL: u.Join("part"), Owner: alice}
	if !s.Valid(r) || s.Valid(nil) {
		t.Error("the entry of an address that nobody has is not valid, or none is")
	}
	s.Allocations.Set(AddressKey(u), &Allocation{Runtime: bob, Address: u}, 100, 1)
	if s.Owner(u.Join("part")) != bob || s.Valid(r) {
		t.Errorf("%s has the address, and another one's entry is valid", s.Owner(u))
	}
	if !s.Known(bob) || s.Known(alice) {
		t.Error("who is known")
	}
}

// Each bound refuses writes that exceed it, with its name in the error, and no others.
func TestRoom(t *testing.T) {
	s := InMemory("example.com")
	s.bounds = Options{Runtime: 2000, Address: 3000, All: 100_000, Rows: 3}
	s.Registrations.Set("1", &Registration{URL: "hyperty://example.com/1", Owner: alice, Source: "site.x"}, 500, 1)
	of := func(rows int, bytes int64) table.Growth {
		return table.Growth{Rows: rows, Bytes: bytes, Runtime: "r:" + string(alice), Source: "s:site.x"}
	}
	used := s.Weighs("r:" + string(alice))
	for name, c := range map[string]struct {
		growth table.Growth
		want   string
		code   int
	}{
		"all that is left":       {of(1, 2000-used), "", 0},
		"of a runtime":           {of(1, 2001-used), "of this runtime's", message.CodeTooMany},
		"of an address":          {table.Growth{Rows: 1, Bytes: 3001 - used, Runtime: "r:" + string(bob), Source: "s:site.x"}, "from your address", message.CodeTooMany},
		"of the whole":           {table.Growth{Rows: 1, Bytes: 100_001 - used}, "state is full", message.CodeError},
		"rows":                   {of(3, 1), "state is full", message.CodeError},
		"nobody's in particular": {table.Growth{Rows: 1, Bytes: 90_000}, "", 0},
	} {
		err := s.room(c.growth)
		var full *Full
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &full) || full.Code != c.code || !strings.Contains(full.Text, c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Rows are counted by the address that they came from, which is not kept; an IPv6 address's term begins with its site's.
func TestSourceTerm(t *testing.T) {
	s := InMemory("example.com")
	of := func(text string) string { return s.SourceTerm(quota.Source{Prefix: netip.MustParsePrefix(text)}) }
	one, same, other := of("2001:db8:1:1::/64"), of("2001:db8:1:2::/64"), of("2001:db8:2:1::/64")
	site := func(term string) string { before, _, _ := strings.Cut(term, sitesAddress); return before }
	if one == same || site(one) != site(same) || site(one) == site(other) || strings.Contains(one, "2001") {
		t.Errorf("%s, %s, %s", one, same, other)
	}
	if s.SourceTerm(quota.Source{}) != "" || of("192.0.2.1/32") == of("192.0.2.2/32") {
		t.Error("addresses of their own")
	}
}

// An entry that was not kept alive is listed as disconnected at once.
func TestStatusIsThatOfNow(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &Registration{Status: Live, Expires: 10, Modified: now}
	if at, late := r.StatusAt(now.Add(10*time.Second)), r.StatusAt(now.Add(10*time.Second+1)); at != Live || late != Disconnected {
		t.Errorf("%s and %s", at, late)
	}
}
