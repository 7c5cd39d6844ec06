package node

import (
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/sdk/message"
)

// handle takes a message from a connection: a function of the node does it, or it is routed on (specification, "Message
// node", routing).
func (n *Node) handle(c *conn, m message.Message) {
	n.opts.trace().CameIn(c.runtime, &m)
	if !n.mayUse(c, m.From) && !(m.To.IsBackEnd() && n.foreign(m.From)) {
		n.log.Warn("forged from", "runtime", c.runtime, "from", m.From, "to", m.To)
		c.strike()
		n.refuse(c, m, refusal.New(message.CodeForbidden, "%s is not an address of %s: it is neither under its URL nor allocated to it", m.From, c.runtime))
		return
	}
	if m.To.IsBackEnd() {
		n.serve(c, m)
		return
	}
	if !c.guest.MayReach(m.To) {
		n.refuse(c, m, refusal.New(message.CodeForbidden, "a visitor reaches addresses of %s only", n.opts.Domain))
		return
	}
	if r := n.charge(c, n.passingCost(&m)); r != nil { // sessions' messages are Data: these are few
		n.refuse(c, m, r)
		return
	}
	if c.legacy() {
		n.learn(c, m.From)
	}
	n.route(c, m)
}

// membersPerUnit is how many connections get a message for what one unit of work is.
const membersPerUnit = 32

// passingCost is what it costs to pass m on: a publication goes to everybody who listens, of whom there may be thousands.
func (n *Node) passingCost(m *message.Message) int {
	cost := 1 + len(m.Body)/(16<<10)
	if address.Publication(m.To) {
		cost *= 1 + len(n.interests.Of(n.subjectOf(m.To)))/membersPerUnit
	}
	return min(cost, n.opts.Limits.Requests) // else it would never be allowed
}

// serve has a function of the node answer m. Its answer goes back on the connection that m came by.
func (n *Node) serve(c *conn, m message.Message) {
	if m.Type == message.Response {
		return // nobody here asks
	}
	domain := m.To.NodeDomain()
	if domain != "" && !strings.EqualFold(domain, n.opts.Domain) {
		n.refuse(c, m, refusal.New(message.CodeNotFound, "this node serves %s; ask the node of %s", n.opts.Domain, domain))
		return
	}
	element, path := address.Function(m.To)
	var answer message.Message
	r := n.charge(c, price(&m))
	if r == nil {
		if err := c.guest.MayAsk(element, path, m.Type); err != nil {
			r = refusal.New(message.CodeForbidden, "%s", err)
		}
	}
	if r == nil && c.begin() != nil {
		return // the connection has ended
	}
	defer c.finish()
	switch {
	case r != nil:
	case element == "registry":
		answer, r = n.domainRegistry(c, m)
	case path == "/sm":
		answer, r = n.subscriptionManager(c, m)
	case path == "/address-allocation", path == "/hyperty-address-allocation", path == "/object-address-allocation":
		answer, r = n.addressAllocation(c, m)
	default:
		r = refusal.New(message.CodeNotFound, "the node has no function %s; it has address-allocation, sm and registry", m.To)
	}
	c.finish()
	if r != nil {
		n.refuse(c, m, r)
		return
	}
	c.sendMessage(answer)
}
