package node

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// dispatch moves what comes from NATS to the connections that want it. It never blocks.
func (n *Node) dispatch() {
	unanswered := n.subjects.Unanswered(n.id) + "."
	for {
		select {
		case <-n.ctx.Done():
			return
		case m := <-n.interests.In:
			if strings.HasPrefix(m.Subject, unanswered) {
				if m.Header.Get("Status") == noResponders && len(m.Data) == 0 {
					n.nobody(m.Subject[len(unanswered):])
				}
				continue
			}
			data, err := n.seal.Open(m.Subject, m.Data)
			if err != nil {
				n.strange.Add(1)
				n.log.Warn("a message at NATS was not taken", "reason", err, "subject", m.Subject)
				continue
			}
			switch {
			case n.subjects.IsPresence(m.Subject):
				n.presence(m, data)
			case len(data) > 0 && wire.Kind(data[0]) == kindGranted:
				n.taken(m.Subject, data)
			default:
				n.deliver(m.Subject, data)
			}
		}
	}
}

// deliver queues what came for the connections that want it. data is what another node sent, opened.
func (n *Node) deliver(subject string, data []byte) {
	members := n.interests.Of(subject)
	switch {
	case n.subjects.IsFrames(subject):
		for _, c := range members {
			if from, known, welcome := c.peers.Brought(data); welcome {
				c.pushData(from, known, data)
			}
		}
	case len(members) == 1:
		p := outbox.Packet{Data: data}
		n.memory.Keep(p)
		members[0].push(p, members[0].uninvited(data))
	case len(members) > 1:
		p := n.memory.Share(data, len(members))
		for _, c := range members {
			c.push(p, c.uninvited(data))
		}
	}
}

// uninvited tells whether many messages wait, and this one is one that the connection asked for neither by a subscription nor
// by a request: it is for its runtime, or for an address of it.
func (c *conn) uninvited(data []byte) bool {
	c.mu.Lock()
	many := c.out.Crowded(c.node.opts.Limits.Queue)
	c.mu.Unlock()
	if !many { // there is room: what it is does not matter
		return false
	}
	_, body, _, err := wire.Next(data)
	if err != nil {
		return true
	}
	m, err := wire.ParseMessage(body)
	if err != nil {
		return true
	}
	mine := address.Runtime(m.To) == c.whose() || !address.Publication(m.To) && c.node.state.Owner(m.To) == c.whose()
	return mine && !(m.Type == message.Response && c.asked.Answered(&m))
}

// noResponders is the status with which NATS says that nobody wanted a message.
const noResponders = "503"

// presence answers the question whether a runtime is connected (an empty message), and closes connections that a newer
// one has replaced, here or at another node of the domain (the message is the newer one's stamp).
func (n *Node) presence(m *nats.Msg, stamp []byte) {
	if len(stamp) == 0 {
		_ = m.Respond([]byte("here")) // unheard, the other node asks again
		return
	}
	for _, c := range n.interests.Of(m.Subject) {
		if string(stamp) > c.stamp {
			c.kick(closeReplaced, "replaced by a newer connection of this runtime")
		}
	}
}

// nobody is NATS's answer that nobody wanted a message or a packet: token says which, as <connection>.<kind><number>.
func (n *Node) nobody(token string) {
	id, rest, _ := strings.Cut(token, ".")
	number, err := strconv.ParseUint(id, 36, 64)
	if err != nil || len(rest) < 2 {
		return
	}
	n.mu.Lock()
	c := n.byID[number]
	n.mu.Unlock()
	if c == nil {
		return
	}
	which, err := strconv.ParseUint(rest[1:], 36, 64)
	if err != nil {
		return
	}
	switch rest[0] {
	case 'm':
		if m, ok := c.asked.Take(which); ok {
			c.sendMessage(m.Refuse(message.CodeNotFound, "nobody listens at %s: it is not registered, or its runtime is not connected", m.To))
		}
	case 'd':
		if peer, ok := c.peers.At(which); ok {
			c.send(wire.AppendUnreachable(nil, peer))
		}
	}
}

// reply is the subject at which NATS tells this node that nobody wanted something of c.
func (n *Node) reply(c *conn, kind byte, number uint64) string {
	return n.subjects.Unanswered(n.id) + "." + strconv.FormatUint(c.id, 36) + "." + string(kind) + strconv.FormatUint(number, 36)
}
