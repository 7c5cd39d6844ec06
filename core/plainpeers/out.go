package plainpeers

import (
	"context"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// Route returns the way to a runtime without a session, through the Message Node of its domain: r, or the best one now if r
// names no stub. A publication goes to the node of its own address: the observers have subscribed to it there. The error is a
// *message.ResponseError with the code 403 if the runtime is not allowed.
func (p *Peers) Route(ctx context.Context, r bus.Route, m message.Message) (bus.Route, error) {
	if err := p.Allows(r.Remote); err != nil {
		p.refused(r.Remote, r.Stub, err)
		return r, err
	}
	if m.Publication() {
		return p.o.Routes.Explain(ctx, message.SubscriptionAddress(m.To.NodeDomain()))
	}
	if r.Stub == "" {
		return p.o.Routes.RouteTo(r.Remote)
	}
	return r, nil
}

// Post sends a message to a runtime without a session by a stub that [Peers.Route] has named, and notes it for its answer.
func (p *Peers) Post(ctx context.Context, stub, remote message.URL, m message.Message) error {
	if m.Type != message.Response {
		m.ID = p.asked.put(stub, remote, m)
	}
	if err := p.o.Post(ctx, stub, m); err != nil {
		return err
	}
	p.peer(remote).sent.Add(1)
	return nil
}
