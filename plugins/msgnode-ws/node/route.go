package node

import (
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// handle takes a message from a connection: a function of the node does it, or it is routed on (specification, "Message
// node", routing).
func (n *Node) handle(c *conn, m message.Message) {
	n.traceMessage("in", c.runtime, m.To, &m)
	if !n.mayUse(c, m.From) && !(m.To.IsBackEnd() && n.foreign(m.From)) {
		n.log.Warn("forged from", "runtime", c.runtime, "from", m.From, "to", m.To)
		c.strike()
		n.refuse(c, m, refuse(message.CodeForbidden, "%s is not an address of %s: it is neither under its URL nor allocated to it", m.From, c.runtime))
		return
	}
	if m.To.IsBackEnd() {
		n.serve(c, m)
		return
	}
	if !c.guest.mayReach(m.To) {
		n.refuse(c, m, refuse(message.CodeForbidden, "a visitor reaches addresses of %s only", n.opts.Domain))
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
	if publication(m.To) {
		cost *= 1 + len(n.interests.Of(n.subjectOf(m.To)))/membersPerUnit
	}
	return min(cost, n.opts.Limits.Requests) // else it would never be allowed
}

// refuse answers m with an error, unless it is a response. The reader's turn to compute ends with it: others do not wait
// while this connection is read slowly.
func (n *Node) refuse(c *conn, m message.Message, r *refusal) {
	c.finish()
	if m.Type != message.Response {
		c.sendMessage(r.response(&m))
	}
	c.pause(r.pause)
}

// serve has a function of the node answer m. Its answer goes back on the connection that m came by.
func (n *Node) serve(c *conn, m message.Message) {
	if m.Type == message.Response {
		return // nobody here asks
	}
	domain := m.To.NodeDomain()
	if domain != "" && !strings.EqualFold(domain, n.opts.Domain) {
		n.refuse(c, m, refuse(message.CodeNotFound, "this node serves %s; ask the node of %s", n.opts.Domain, domain))
		return
	}
	element, path := backEnd(m.To)
	var answer message.Message
	r := n.charge(c, price(&m))
	if r == nil {
		r = c.guest.mayAsk(element, path, m.Type)
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
		r = refuse(message.CodeNotFound, "the node has no function %s; it has address-allocation, sm and registry", m.To)
	}
	c.finish()
	if r != nil {
		n.refuse(c, m, r)
		return
	}
	c.sendMessage(answer)
}

// backEnd splits the address of a node's function: domain://msg-node.example.com/sm is msg-node and /sm.
func backEnd(to message.URL) (element, path string) {
	element, _, _ = strings.Cut(to.Domain(), ".")
	return element, strings.TrimSuffix(to.Path(), "/")
}

// route publishes m for whoever wants it.
func (n *Node) route(c *conn, m message.Message) {
	subject := n.subjectOf(m.To)
	frame := n.seal.Sign(subject, wire.AppendMessage(nil, &m))
	var err error
	if m.Type == message.Response || publication(m.To) {
		err = n.backbone.Messages.Publish(subject, frame)
	} else {
		number, grown := c.asked.Put(&m)
		c.remember(grown)
		err = n.backbone.Messages.PublishRequest(subject, n.reply(c, 'm', number), frame)
	}
	if err != nil {
		n.log.Warn("message not passed on", "from", m.From, "to", m.To, "error", err)
		n.refuse(c, m, refuse(message.CodeUnavailable, "the node cannot pass messages on now: %v", err))
	}
}

// publish is route for a message that the node made.
func (n *Node) publish(m message.Message) {
	subject := n.subjectOf(m.To)
	if err := n.backbone.Messages.Publish(subject, n.seal.Sign(subject, wire.AppendMessage(nil, &m))); err != nil {
		n.log.Warn("notice not sent", "to", m.To, "error", err)
	}
}

// subjectOf is where messages for an address are published: everything under a runtime's URL goes to the runtime.
func (n *Node) subjectOf(to message.URL) string {
	if r := runtimeOf(to); r != "" {
		return n.subjects.Address(r)
	}
	return n.subjects.Address(to)
}

// runtimeOf is the runtime that an address is under, or "". The reference implementation's stub addresses have the
// runtime scheme but carry no runtime (specification, "Stub addresses"): they are addresses like any other.
func runtimeOf(u message.URL) message.URL {
	if !u.IsRuntime() {
		return ""
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(u.Path(), "/"), "/"); first {
	case "protostub", "p2phandler", "p2prequester":
		return ""
	}
	return u.Runtime()
}

// publication tells whether to is an address of which any number listens, none included: a message to it is not
// answered with 404. Beside those of the runtimes' rule it is the address of a data object's children, which only the
// object's runtime tells from others.
func publication(to message.URL) bool {
	return to.ForSubscribers() || strings.Contains(to.Path()+"/", "/children/")
}

// mayUse tells whether an address is c's to send from, to register and to listen at.
func (n *Node) mayUse(c *conn, u message.URL) bool {
	if u == message.SessionAddress || u.IsBackEnd() {
		return false
	}
	if r := runtimeOf(u); r != "" {
		return r == c.runtime || c.legacy() && !proof.KeyDerived(r) && !n.connected(r)
	}
	if owner := n.owner(u); owner != "" {
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
