package registry

import (
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

// Answer is the node's function domain://registry.<domain>.
func (d *Registry) Answer(c *routing.Client, m message.Message) (message.Message, *refusal.Refusal) {
	switch m.Type {
	case message.Create:
		return d.register(c, m)
	case message.Read:
		return d.look(c, m)
	case message.Update:
		return d.reregister(c, m)
	case message.Delete:
		return d.unregister(c, m)
	}
	return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: %s is not one of create, read, update, delete", m.Type)
}
