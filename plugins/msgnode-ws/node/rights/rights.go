// Package rights says to which runtime an address belongs: what a runtime may send from, register and listen at. It decides by
// the state that the nodes of the domain keep, and has no state itself.
package rights

import (
	"context"
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Rights are those of the runtimes at a domain's node.
type Rights struct {
	Domain    string
	State     *state.State
	Connected func(runtime message.URL) bool // tells whether a runtime has a connection at this node
}

// Runtime is the runtime of the connection whose rights are asked for.
type Runtime interface {
	Runtime() message.URL
	Unproved() bool // of the JSON dialects, which prove nothing
}

// MayUse tells whether an address is a runtime's to send from, to register and to listen at.
func (r *Rights) MayUse(c Runtime, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if of := address.Runtime(u); of != "" {
		return of == c.Runtime() || c.Unproved() && !proof.KeyDerived(of) && !r.Connected(of)
	}
	if owner := r.State.Owner(u); owner != "" {
		return owner == c.Runtime()
	}
	return c.Unproved()
}

// MaySend tells whether a runtime may send a message from an address to another. Messages from an address of another domain,
// which this node cannot know, may ask the node's functions all the same: these act for the connection's runtime, whatever the
// message's from, and their answer goes back on that connection.
func (r *Rights) MaySend(c Runtime, from, to message.URL) bool {
	return r.MayUse(c, from) || to.IsBackEnd() && r.foreign(from)
}

// foreign tells whether u is an address of another domain.
func (r *Rights) foreign(u message.URL) bool {
	domain := u.NodeDomain()
	return !u.IsRuntime() && !u.IsBackEnd() && domain != "" && !strings.EqualFold(domain, r.Domain)
}

// MayListen tells whether a runtime may get what is sent to u. Only the runtime itself may listen at its own addresses: what
// is under its URL, what is allocated to it, and the subscription address where a reporter decides who observes. Publications
// are for everybody. A runtime of the JSON dialects makes up addresses by itself and may listen at them, for as long as they
// are allocated to nobody; this node does not know the addresses that another domain gives out.
func (r *Rights) MayListen(c Runtime, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if of := address.Runtime(u); of != "" {
		return of == c.Runtime()
	}
	tail := strings.TrimPrefix(string(u.Canonical()), string(u.Base().Canonical()))
	if tail == "" || tail == "/subscription" {
		owner := r.State.Owner(u)
		return owner == c.Runtime() || owner == "" && (c.Unproved() || r.foreign(u))
	}
	return true
}

// JustGranted asks the state itself, and not its copy, whether u is allocated to a runtime: another node may have written that
// a moment ago. It waits for other servers.
func (r *Rights) JustGranted(ctx context.Context, c Runtime, u message.URL) bool {
	if u.IsRuntime() || u.IsBackEnd() || r.State.Owner(u) != "" {
		return false
	}
	ctx, cancel := r.State.Within(ctx)
	defer cancel()
	a, err := r.State.Allocations.CatchUp(ctx, state.AddressKey(u.Base()))
	return err == nil && a != nil && a.Runtime == c.Runtime()
}
