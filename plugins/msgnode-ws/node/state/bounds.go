package state

import (
	"fmt"
	"net/netip"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// Full is why the state is not made larger. code is that of the response.
type Full struct {
	Code int
	Text string
}

func (e *Full) Error() string { return e.Text }

func noRoom(code int, format string, args ...any) *Full {
	return &Full{code, fmt.Sprintf(format, args...)}
}

// room tells whether the state may grow. Several nodes of a cluster look at their own copies, so that together they may go
// past a bound by what they write at the same moment.
func (s *State) room(g table.Growth) error {
	b := &s.bounds
	rows, all := s.Size()
	runtimes, sources := s.Weighs(g.Runtime), s.Weighs(g.Source)
	switch {
	case g.Runtime != "" && runtimes+g.Bytes > b.Runtime:
		return noRoom(message.CodeTooMany, "the node keeps %d bytes of this runtime's addresses, entries and subscriptions, at most %d are kept; free some", runtimes, b.Runtime)
	case g.Source != "" && sources+g.Bytes > b.Address:
		return noRoom(message.CodeTooMany, "the node keeps %d bytes of what came from your address, at most %d are kept; free some", sources, b.Address)
	case all+g.Bytes > b.All, rows+g.Rows > b.Rows:
		return noRoom(message.CodeError, "the node's state is full: %d entries, %d bytes; its operator can raise limits.state and limits.rows", rows, all)
	}
	return nil
}

// Size is what the whole state has.
func (s *State) Size() (rows int, bytes int64) {
	for _, size := range []func() (int, int64){s.Allocations.Size, s.Subscriptions.Size, s.Registrations.Size, s.Sessions.Size} {
		r, b := size()
		rows, bytes = rows+r, bytes+b
	}
	return rows, bytes
}

// Weighs is what the whole state has with a term.
func (s *State) Weighs(term string) int64 {
	return s.Allocations.Weighs(term) + s.Subscriptions.Weighs(term) + s.Registrations.Weighs(term) + s.Sessions.Weighs(term)
}

// sitesAddress stands between a site and its address in a source term, and siteBits is how long the prefix of an IPv6 site is: as
// much as one subscriber may have, and anybody may have for nothing.
const (
	sitesAddress = "."
	siteBits     = 48
)

// SourceTerm is by which rows that came from an address are found and counted; that of an IPv6 address begins with its site's.
// The address itself is not kept.
func (s *State) SourceTerm(from quota.Source) string {
	if !from.IsValid() {
		return ""
	}
	term := func(p netip.Prefix) string { return backbone.Hash(s.domain + " " + p.String())[:16] }
	if from.Addr().Is4() {
		return term(from.Prefix)
	}
	return term(netip.PrefixFrom(from.Addr(), siteBits).Masked()) + sitesAddress + term(from.Prefix)
}

// withSource adds the term of the address that a row came from.
func withSource(terms []string, from string) []string {
	if from == "" {
		return terms
	}
	return append(terms, "s:"+from)
}
