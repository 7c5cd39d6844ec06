package relay

import (
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

// serve lets a function of the node answer m. Its answer goes back on the connection that m came by.
func (r *Relay) serve(c *routing.Client, m message.Message) {
	if m.Type == message.Response {
		return // the node's functions send no requests
	}
	domain := m.To.NodeDomain()
	if domain != "" && !strings.EqualFold(domain, r.o.Domain) {
		c.Refuse(m, refusal.New(message.CodeNotFound, "this node serves %s; ask the node of %s", r.o.Domain, domain))
		return
	}
	element, path := address.Function(m.To)
	var answer message.Message
	no := c.Charge(rates.Price(&m))
	if no == nil {
		if err := c.Guest.MayAsk(element, path, m.Type); err != nil {
			no = refusal.New(message.CodeForbidden, "%s", err)
		}
	}
	if no == nil && c.Begin() != nil {
		return // the connection has ended
	}
	defer c.Finish()
	switch {
	case no != nil:
	case element == "registry":
		answer, no = r.o.Registry.Answer(c, m)
	case path == "/sm":
		answer, no = r.o.Subscriptions.Answer(c, m)
	case path == "/address-allocation", path == "/hyperty-address-allocation", path == "/object-address-allocation":
		answer, no = r.o.Allocation.Answer(c, m)
	default:
		no = refusal.New(message.CodeNotFound, "the node has no function %s; it has address-allocation, sm and registry", m.To)
	}
	c.Finish()
	if no != nil {
		c.Refuse(m, no)
		return
	}
	c.SendMessage(answer)
}
