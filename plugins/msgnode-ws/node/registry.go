package node

import (
	"encoding/json"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// domainRegistry is the node's function domain://registry.<domain>.
func (n *Node) domainRegistry(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	switch m.Type {
	case message.Create:
		return n.register(c, m)
	case message.Read:
		return n.look(c, m)
	case message.Update:
		return n.reregister(c, m)
	case message.Delete:
		return n.unregister(c, m)
	}
	return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: %s is not one of create, read, update, delete", m.Type)
}

// register is create: a new entry, or the same runtime's entry anew.
func (n *Node) register(c *conn, m message.Message) (message.Message, *refusal.Refusal) {
	if len(m.Body) > n.opts.Limits.Entry { // before memory is spent on it
		return message.Message{}, refusal.New(message.CodeTooLarge, "Domain Registry: an entry of %d bytes, at most %d are allowed", len(m.Body), n.opts.Limits.Entry)
	}
	var body struct {
		Value map[string]json.RawMessage `json:"value"`
	}
	if err := m.Decode(&body); err != nil || len(body.Value) == 0 {
		return message.Message{}, refusal.New(message.CodeBadRequest, "Domain Registry: create needs the entry as value")
	}
	e, r := newRegistration(c, body.Value)
	if e != nil {
		e.Source = n.state.SourceTerm(c.from)
	}
	if r != nil {
		return message.Message{}, r
	}
	if !n.mayUse(c, e.URL) {
		return message.Message{}, refusal.New(message.CodeForbidden, "Domain Registry: %s is not an address of %s: it is neither under its URL nor allocated to it", e.URL, c.runtime)
	}
	key := state.RegistrationKey(e.URL)
	if n.state.Registrations.Get(key) == nil && n.state.Registrations.Count("r:"+string(c.runtime)) >= n.opts.Limits.Registrations {
		return message.Message{}, refusal.New(message.CodeTooMany, "Domain Registry: the runtime has %d entries, no more are allowed", n.opts.Limits.Registrations)
	}
	before := ""
	r = n.changeRegistration(c, key, func(old *state.Registration) (*state.Registration, error) {
		if old != nil && old.Owner != c.runtime && n.state.Owner(e.URL) != c.runtime {
			return nil, errConflict
		}
		if old != nil {
			before = old.StatusAt(e.Modified)
			if old.Owner == e.Owner {
				e.Since = time.Unix(0, old.HadSince()).UTC()
			}
		}
		return e, nil
	})
	if r != nil {
		return message.Message{}, r
	}
	if before != "" && before != e.Status {
		n.announce(e.URL, e.Status)
	}
	return m.Respond(message.CodeOK, nil), nil
}
