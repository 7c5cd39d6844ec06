package node

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// route publishes m for whoever wants it.
func (n *Node) route(c *conn, m message.Message) {
	subject := n.subjectOf(m.To)
	frame := n.seal.Sign(subject, wire.AppendMessage(nil, &m))
	var err error
	if m.Type == message.Response || address.Publication(m.To) {
		err = n.backbone.Messages.Publish(subject, frame)
	} else {
		number, grown := c.asked.Put(&m)
		c.remember(grown)
		err = n.backbone.Messages.PublishRequest(subject, n.reply(c, 'm', number), frame)
	}
	if err != nil {
		n.log.Warn("message not passed on", "from", m.From, "to", m.To, "error", err)
		n.refuse(c, m, refusal.New(message.CodeUnavailable, "the node cannot pass messages on now: %v", err))
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
	if r := address.Runtime(to); r != "" {
		return n.subjects.Address(r)
	}
	return n.subjects.Address(to)
}
