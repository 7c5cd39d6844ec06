package state

import (
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/sdk/message"
)

// Allocation is an address and the runtime that it belongs to. The key of its row is made of the address, so that one
// write, which fails if the address has an owner, decides whose it is: at whatever node of the domain, and whether it
// was wished for or is one of a block.
type Allocation struct {
	Runtime message.URL `json:"runtime"`
	Address message.URL `json:"address,omitempty"` // none: the row says when Runtime was last seen
	Key     string      `json:"key,omitempty"`     // the allocation key
	Wished  bool        `json:"wished,omitempty"`  // kept for as long as the runtime does not free it
	Since   time.Time   `json:"since,omitzero"`    // when it was given, or last wished for
	Seen    time.Time   `json:"seen"`              // when the runtime was last known to be there, to the day
	Source  string      `json:"source,omitempty"`  // the term by which it is counted: see [State.SourceTerm]

	Addresses []message.URL `json:"addresses,omitempty"` // of a row that an earlier version wrote; see upgrade
}

func (a *Allocation) Terms() []string {
	if a.Address == "" {
		return withSource(nil, a.Source)
	}
	return withSource([]string{"r:" + string(a.Runtime)}, a.Source)
}

// Note tells whether the row says when a runtime was last seen. Such rows are never refused, or a full state would free the
// addresses of connected runtimes.
func (a *Allocation) Note() bool { return a.Address == "" }

// AddressKey is the key of an address's row, seenKey that of the row that says when a runtime was last seen.
func AddressKey(u message.URL) string { return "a." + backbone.Hash(string(u.Canonical())) }

func SeenKey(runtime message.URL) string { return "seen." + backbone.Hash(string(runtime)) }

// Subscription is one address that one runtime listens to.
type Subscription struct {
	Runtime message.URL `json:"runtime"`
	Address message.URL `json:"address"`
	Since   time.Time   `json:"since"`
	Source  string      `json:"source,omitempty"` // the term by which it is counted: see [State.SourceTerm]
}

func (s *Subscription) terms() []string {
	return withSource([]string{"r:" + string(s.Runtime), "a:" + string(s.Address.Canonical())}, s.Source)
}

// SubscriptionKey is the key of a subscription's row.
func SubscriptionKey(runtime, u message.URL) string {
	return backbone.Hash(string(runtime)) + "." + backbone.Hash(string(u.Canonical()))
}

// Session is the token of a session stub's runtime. It survives restarts of the node, since the reference stub does not
// recover from a re-open that is refused.
type Session struct {
	Runtime message.URL `json:"runtime"` // canonical
	Token   string      `json:"token"`
	Source  string      `json:"source,omitempty"` // the term by which it is counted: see [State.SourceTerm]
}

func (s *Session) terms() []string { return withSource([]string{"r:" + string(s.Runtime)}, s.Source) }

// sessionTTL is how long a session is remembered after its last open or re-open.
const sessionTTL = 30 * 24 * time.Hour

// Redemption has the runtimes that have used a token, if it is for a number of them.
type Redemption struct {
	Runtimes []message.URL `json:"runtimes"`
	Expires  time.Time     `json:"expires,omitzero"`
}

func (*Redemption) terms() []string { return nil }

// sitesAddress stands between a site and its address in a source term, and siteBits is the length of the prefix of an IPv6
// site: the largest network that a subscriber gets, at no cost.
const (
	sitesAddress = "."
	siteBits     = 48
)

// withSource adds the term of the address that a row came from.
func withSource(terms []string, from string) []string {
	if from == "" {
		return terms
	}
	return append(terms, "s:"+from)
}
