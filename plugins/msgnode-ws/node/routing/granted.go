package routing

import (
	"context"
	"errors"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// OwnersAlone are the addresses at which only the owner of u may listen: u itself, and the address at which a reporter is asked
// for subscriptions.
func OwnersAlone(u message.URL) [2]message.URL {
	return [2]message.URL{u.Canonical(), u.Canonical().Join("subscription")}
}

// KindGranted is a frame that one node sends the others on an address's subject, before its owner is told that it has the
// address: from here on only the runtime that the body names gets what comes there. So others' routes end before anything
// is sent to the owner, however far another node's copy of the state is behind.
const KindGranted wire.Kind = 0xfe

// taken ends others' routes because another node says so.
func (r *Router) taken(subject string, frame []byte) {
	_, owner, _, err := wire.Next(frame)
	if err != nil {
		return
	}
	for _, c := range r.interests.Of(subject) {
		if c.Runtime() != message.URL(owner) {
			r.unwantSubject(c, subject)
		}
	}
}

// EndOthers ends what other runtimes had of an address before it was given to its owner: their subscriptions, and the
// routes that were learned, at this node and at the others of the domain.
func (r *Router) EndOthers(ctx context.Context, a *state.Allocation) {
	r.endRoutes(a.Address, a.Runtime)
	if a.Wished && r.o.Cluster { // else the address is random, and nobody can have known it
		r.TellOthers(a)
	}
	for _, u := range OwnersAlone(a.Address) {
		for key, s := range r.state.Subscriptions.Find("a:" + string(u)) {
			if s.Runtime == a.Runtime {
				continue
			}
			if err := r.state.Unsubscribe(ctx, key); err != nil {
				r.o.Log.Warn("a subscription to an address that was given to another runtime stays in the state", "address", u, "error", err)
			}
		}
	}
}

// TellOthers makes the other nodes end their routes now. If this is lost, they do so when the allocation reaches their copies.
func (r *Router) TellOthers(a *state.Allocation) {
	var err error
	for _, u := range OwnersAlone(a.Address) {
		subject := r.subjects.Address(u)
		frame := wire.Append(nil, KindGranted, []byte(a.Runtime))
		err = errors.Join(err, r.o.NATS.Messages.Publish(subject, r.o.Seal.Sign(subject, frame)))
	}
	if err = errors.Join(err, r.o.NATS.Messages.FlushTimeout(r.o.Times.State)); err != nil {
		r.o.Log.Warn("other nodes were not told of an allocation", "address", a.Address, "error", err)
	}
}

// endRoutes ends all routes of an address but its owner's.
func (r *Router) endRoutes(address, owner message.URL) {
	for _, u := range OwnersAlone(address) {
		for _, c := range r.interests.Of(r.subjects.Address(u)) {
			if c.Runtime() != owner {
				r.Unwant(c, u, Allocated|Subscribed|Learned)
			}
		}
	}
}

// Granted is called with every allocation that comes into the copy of the state: also with those that another node wrote, a
// moment before or after the owner has connected here.
func (r *Router) Granted(a *state.Allocation) {
	if a.Address == "" {
		return
	}
	r.endRoutes(a.Address, a.Runtime)
	if c := r.Roster.Of(a.Runtime); c != nil {
		if err := r.Want(c, a.Address, Allocated); err != nil {
			r.o.Log.Warn("an allocated address is not routed", "address", a.Address, "error", err)
		}
	}
}

// Noted is called with every subscription that comes into the copy of the state, as Granted is with allocations.
func (r *Router) Noted(s *state.Subscription) {
	if c := r.Roster.Of(s.Runtime); c != nil {
		if _, err := r.Listen(c, s.Address); err != nil {
			r.o.Log.Warn("a subscription is not routed", "address", s.Address, "error", err)
		}
	}
}
