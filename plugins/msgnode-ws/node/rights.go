package node

import (
	"context"
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// mayUse tells whether an address is c's to send from, to register and to listen at.
func (n *Node) mayUse(c *conn, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if r := address.Runtime(u); r != "" {
		return r == c.runtime || c.legacy() && !proof.KeyDerived(r) && !n.connected(r)
	}
	if owner := n.state.Owner(u); owner != "" {
		return owner == c.runtime
	}
	return c.legacy()
}

// foreign tells whether another domain gives out u, so that this node cannot know whose it is. Who has it may ask the
// node's functions all the same: they act for the connection's runtime, whatever the message's from, and their answer
// goes back on that connection.
func (n *Node) foreign(u message.URL) bool {
	domain := u.NodeDomain()
	return !u.IsRuntime() && !u.IsBackEnd() && domain != "" && !strings.EqualFold(domain, n.opts.Domain)
}

// connected tells whether a runtime has a connection at this node.
func (n *Node) connected(runtime message.URL) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runtimes[runtime] != nil
}

// mayListen tells whether c may get what is sent to u. Its own addresses are a runtime's alone: what is under its URL,
// what is allocated to it, and the subscription address where a reporter decides who observes. Publications are for
// everybody. A runtime of the JSON dialects makes up addresses by itself and may listen at them, for as long as they are
// allocated to nobody; what another domain gives out this node does not know.
func (n *Node) mayListen(c *conn, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if r := address.Runtime(u); r != "" {
		return r == c.runtime
	}
	tail := strings.TrimPrefix(string(u.Canonical()), string(u.Base().Canonical()))
	if tail == "" || tail == "/subscription" {
		owner := n.state.Owner(u)
		return owner == c.runtime || owner == "" && (c.legacy() || n.foreign(u))
	}
	return true
}

// justGranted tells whether u is allocated to c's runtime by what the state itself says: another node may have written
// that a moment ago. c's reader calls it.
func (n *Node) justGranted(c *conn, u message.URL) bool {
	if n.opts.NATS == "" || u.IsRuntime() || u.IsBackEnd() || n.state.Owner(u) != "" {
		return false
	}
	c.finish() // from here on it waits for other servers
	ctx, cancel := context.WithTimeout(c.ctx, n.opts.Times.State)
	defer cancel()
	a, err := n.state.Allocations.CatchUp(ctx, state.AddressKey(u.Base()))
	return err == nil && a != nil && a.Runtime == c.runtime
}
