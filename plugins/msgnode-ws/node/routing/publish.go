package routing

import (
	"strconv"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Route publishes m, which a connection has sent. If nobody wants it, the sender gets a response.
func (r *Router) Route(c *Client, m message.Message) error {
	subject := r.subjectOf(m.To)
	frame := r.o.Seal.Sign(subject, wire.AppendMessage(nil, &m))
	var err error
	if m.Type == message.Response || address.Publication(m.To) {
		err = r.o.NATS.Messages.Publish(subject, frame)
	} else {
		number, grown := c.asked.Put(&m)
		c.Remember(grown)
		err = r.o.NATS.Messages.PublishRequest(subject, r.reply(c, ofMessage, number), frame)
	}
	return err
}

// Publish is Route for a message that the node made.
func (r *Router) Publish(m message.Message) {
	subject := r.subjectOf(m.To)
	if err := r.o.NATS.Messages.Publish(subject, r.o.Seal.Sign(subject, wire.AppendMessage(nil, &m))); err != nil {
		r.o.Log.Warn("notice not sent", "to", m.To, "error", err)
	}
}

// subjectOf returns the subject for messages to an address: everything under a runtime's URL goes to the runtime.
func (r *Router) subjectOf(to message.URL) string {
	if runtime := address.Runtime(to); runtime != "" {
		return r.subjects.Address(runtime)
	}
	return r.subjects.Address(to)
}

// SendData publishes Data frames of a connection for a peer. data is what [backbone.Seal.Sign] may append to, and is returned.
func (r *Router) SendData(c *Client, to *peers.Peer, data []byte) ([]byte, error) {
	data = r.o.Seal.Sign(to.Subject, data)
	err := r.o.NATS.Messages.PublishRequest(to.Subject, to.Reply, data)
	if err != nil {
		c.Send(wire.AppendUnreachable(nil, to.URL))
	}
	return data, err
}

// Peer looks up a runtime to which a connection sends Data, by the text of its URL; it checks a new one.
func (r *Router) Peer(c *Client, text []byte) (*peers.Peer, error) {
	if p := c.Peers.Find(text); p != nil {
		return p, nil
	}
	u, err := message.ParseURL(string(text))
	if err != nil {
		return nil, err
	}
	if u.Runtime() == "" || u.Runtime() != u.Canonical() {
		return nil, &message.URLError{Text: string(text), Reason: "not a runtime"}
	}
	p, grown := c.Peers.Add(string(text), func(number uint64) peers.Peer {
		return peers.Peer{URL: u.Runtime(), Subject: r.subjects.Frames(u.Runtime()), Reply: r.reply(c, ofData, number),
			Barred: !c.Guest.MayReach(u)}
	})
	c.Remember(grown)
	return p, nil
}

// Receivers is how many connections of this node want what is sent to an address.
func (r *Router) Receivers(to message.URL) int { return len(r.interests.Of(r.subjectOf(to))) }

// What nobody wanted, in the subject of NATS's notice: a message or Data.
const ofMessage, ofData = 'm', 'd'

// reply is the subject at which NATS tells this node that nobody wanted something of c.
func (r *Router) reply(c *Client, kind byte, number uint64) string {
	return r.subjects.Unanswered(r.o.Node) + "." + strconv.FormatUint(c.ID, 36) + "." + string(kind) + strconv.FormatUint(number, 36)
}
