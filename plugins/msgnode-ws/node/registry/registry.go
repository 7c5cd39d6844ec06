package registry

import (
	"sync/atomic"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

// Registry is the Domain Registry.
type Registry struct {
	domain string
	limits limits.Limits
	state  *state.State
	writes *writes.Writes
	rights *rights.Rights
	router Publisher
	last   atomic.Uint64 // number of a notice
}

// Publisher sends what the registry publishes to its subscribers.
type Publisher interface{ Publish(m message.Message) }

// New makes the registry of a domain's node.
func New(domain string, l limits.Limits, s *state.State, w *writes.Writes, whose *rights.Rights, p Publisher) *Registry {
	return &Registry{domain: domain, limits: l, state: s, writes: w, rights: whose, router: p}
}
