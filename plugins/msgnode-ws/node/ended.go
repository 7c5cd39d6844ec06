package node

import (
	"context"
	"errors"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// What an address's owner alone may hear: the address itself, and where a reporter is asked to be observed.
func ownersAlone(u message.URL) [2]message.URL {
	return [2]message.URL{u.Canonical(), u.Canonical().Join("subscription")}
}

// kindGranted is a frame that one node sends the others on an address's subject, before its owner is told that it has the
// address: from here on only the runtime that the body names may hear what comes there. So it ends before what is then
// sent to the owner, however far another node's copy of the state is behind.
const kindGranted wire.Kind = 0xfe

// taken ends others' routes on the word of another node.
func (n *Node) taken(subject string, frame []byte) {
	_, owner, _, err := wire.Next(frame)
	if err != nil {
		return
	}
	for _, c := range n.interests.Of(subject) {
		if c.whose() != message.URL(owner) {
			n.unwantSubject(c, subject)
		}
	}
}

// endOthers ends what other runtimes had of an address before it was given to its owner: their subscriptions, and the
// routes that were learned, at this node and at the others of the domain.
func (n *Node) endOthers(ctx context.Context, a *state.Allocation) {
	n.endRoutes(a.Address, a.Runtime)
	if a.Wished && n.opts.NATS != "" { // nobody can have known an address that is random
		n.tellOthers(a)
	}
	for _, u := range ownersAlone(a.Address) {
		for key, s := range n.state.Subscriptions.Find("a:" + string(u)) {
			if s.Runtime == a.Runtime {
				continue
			}
			if err := n.forget(ctx, key); err != nil {
				n.log.Warn("a subscription to an address that was given to another runtime stays in the state", "address", u, "error", err)
			}
		}
	}
}

// tellOthers has the other nodes end their routes now. Unheard, they do it when the allocation reaches their copies.
func (n *Node) tellOthers(a *state.Allocation) {
	var err error
	for _, u := range ownersAlone(a.Address) {
		subject := n.subjects.Address(u)
		frame := wire.Append(nil, kindGranted, []byte(a.Runtime))
		err = errors.Join(err, n.backbone.Messages.Publish(subject, n.seal.Sign(subject, frame)))
	}
	if err = errors.Join(err, n.backbone.Messages.FlushTimeout(n.opts.Times.State)); err != nil {
		n.log.Warn("other nodes were not told of an allocation", "address", a.Address, "error", err)
	}
}

// endRoutes has no message for an address lead to others than its owner.
func (n *Node) endRoutes(address, owner message.URL) {
	for _, u := range ownersAlone(address) {
		for _, c := range n.interests.Of(n.subjects.Address(u)) {
			if c.whose() != owner {
				n.unwant(c, u, allocated|subscribed|learned)
			}
		}
	}
}

// granted is told of every allocation that comes into the copy of the state: also of those that another node wrote, a
// moment before or after the owner has connected here.
func (n *Node) granted(a *state.Allocation) {
	if a.Address == "" {
		return
	}
	n.endRoutes(a.Address, a.Runtime)
	if c := n.connectionOf(a.Runtime); c != nil {
		if err := n.want(c, a.Address, allocated); err != nil {
			n.log.Warn("an allocated address is not routed", "address", a.Address, "error", err)
		}
	}
}

// noted is told of every subscription that comes into the copy of the state, as granted is of allocations.
func (n *Node) noted(s *state.Subscription) {
	if c := n.connectionOf(s.Runtime); c != nil {
		if _, err := n.listen(c, s.Address); err != nil {
			n.log.Warn("a subscription is not routed", "address", s.Address, "error", err)
		}
	}
}
