package routing

import (
	"context"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/address"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Run moves what comes from NATS to the connections that want it, until ctx ends. It never blocks.
func (r *Router) Run(ctx context.Context) {
	unanswered := r.subjects.Unanswered(r.o.Node) + "."
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.interests.In:
			if strings.HasPrefix(m.Subject, unanswered) {
				if m.Header.Get("Status") == noResponders && len(m.Data) == 0 {
					r.nobody(m.Subject[len(unanswered):])
				}
				continue
			}
			data, err := r.o.Seal.Open(m.Subject, m.Data)
			if err != nil {
				r.strange.Add(1)
				r.o.Log.Warn("a message at NATS was not taken", "reason", err, "subject", m.Subject)
				continue
			}
			switch {
			case r.subjects.IsPresence(m.Subject):
				r.presence(m, data)
			case len(data) > 0 && wire.Kind(data[0]) == KindGranted:
				r.taken(m.Subject, data)
			default:
				r.deliver(m.Subject, data)
			}
		}
	}
}

// deliver queues what came for the connections that want it. data is what another node sent, without the seal.
func (r *Router) deliver(subject string, data []byte) {
	members := r.interests.Of(subject)
	switch {
	case r.subjects.IsFrames(subject):
		for _, c := range members {
			if from, known, welcome := c.Peers.Brought(data); welcome {
				c.PushData(from, known, data)
			}
		}
	case len(members) == 1:
		p := outbox.Packet{Data: data}
		r.o.Conns.Memory.Keep(p)
		members[0].Push(p, r.uninvited(members[0], data))
	case len(members) > 1:
		p := r.o.Conns.Memory.Share(data, len(members))
		for _, c := range members {
			c.Push(p, r.uninvited(c, data))
		}
	}
}

// uninvited tells whether many messages wait for a connection, and it has asked for this one neither by a subscription nor by a
// request: the message is for its runtime, or for an address of the runtime.
func (r *Router) uninvited(c *Client, data []byte) bool {
	if !c.Crowded() { // there is room for any message
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
	ours := address.Runtime(m.To) == c.Runtime() || !address.Publication(m.To) && r.state.Owner(m.To) == c.Runtime()
	return ours && !c.invited(&m)
}

// noResponders is the status with which NATS says that nobody wanted a message.
const noResponders = "503"

// presence answers the question whether a runtime is connected (an empty message), and closes connections that a newer
// one has replaced, here or at another node of the domain (the message is the newer one's stamp).
func (r *Router) presence(m *nats.Msg, stamp []byte) {
	if len(stamp) == 0 {
		_ = m.Respond([]byte("here")) // if this is lost, the other node asks again
		return
	}
	for _, c := range r.interests.Of(m.Subject) {
		if string(stamp) > c.Stamp {
			c.Kick(conn.CodeReplaced, "replaced by a newer connection of this runtime")
		}
	}
}

// nobody handles NATS's notice that nobody wanted a message or a packet: token says which, as <connection>.<kind><number>.
func (r *Router) nobody(token string) {
	id, rest, _ := strings.Cut(token, ".")
	number, err := strconv.ParseUint(id, 36, 64)
	if err != nil || len(rest) < 2 {
		return
	}
	c := r.Roster.numbered(number)
	if c == nil {
		return
	}
	which, err := strconv.ParseUint(rest[1:], 36, 64)
	if err != nil {
		return
	}
	switch rest[0] {
	case ofMessage:
		if m, ok := c.asked.Take(which); ok {
			c.SendMessage(m.Refuse(message.CodeNotFound, "nobody listens at %s: it is not registered, or its runtime is not connected", m.To))
		}
	case ofData:
		if peer, ok := c.Peers.At(which); ok {
			c.Send(wire.AppendUnreachable(nil, peer))
		}
	}
}
