package relay

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

// Handle takes a message from a connection: a function of the node answers it, or it is routed on (specification, "Message
// node", routing).
func (r *Relay) Handle(c *routing.Client, m message.Message) {
	r.o.Trace.CameIn(c.Runtime(), &m)
	if !r.o.Rights.MaySend(c, m.From, m.To) {
		r.o.Log.Warn("forged from", "runtime", c.Runtime(), "from", m.From, "to", m.To)
		c.Strike()
		c.Refuse(m, refusal.New(message.CodeForbidden, "%s is not an address of %s: it is neither under its URL nor allocated to it", m.From, c.Runtime()))
		return
	}
	if m.To.IsBackEnd() {
		r.serve(c, m)
		return
	}
	if !c.Guest.MayReach(m.To) {
		c.Refuse(m, refusal.New(message.CodeForbidden, "a visitor reaches addresses of %s only", r.o.Domain))
		return
	}
	receivers := 1
	if address.Publication(m.To) {
		receivers = r.o.Router.Receivers(m.To)
	}
	if no := c.Charge(r.o.Rates.PassingPrice(&m, receivers)); no != nil { // sessions' messages are Data: these are few
		c.Refuse(m, no)
		return
	}
	if c.Unproved() {
		r.o.Router.Learn(c, m.From)
	}
	if err := r.o.Router.Route(c, m); err != nil {
		r.o.Log.Warn("message not passed on", "from", m.From, "to", m.To, "error", err)
		c.Refuse(m, refusal.New(message.CodeUnavailable, "the node cannot pass messages on now: %v", err))
	}
}
