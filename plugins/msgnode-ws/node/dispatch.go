package node

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

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
			from, known, count := c.answers(data)
			if known || c.visits.AllowN(time.Now(), min(count, visitFrames)) {
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
	mine := runtimeOf(m.To) == c.whose() || !publication(m.To) && c.node.owner(m.To) == c.whose()
	return mine && !(m.Type == message.Response && c.asked.answered(&m))
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
		if m, ok := c.asked.take(which); ok {
			c.sendMessage(m.Refuse(message.CodeNotFound, "nobody listens at %s: it is not registered, or its runtime is not connected", m.To))
		}
	case 'd':
		if peer, ok := c.peers.at(which); ok {
			c.send(wire.AppendUnreachable(nil, peer))
		}
	}
}

// asked remembers the headers of the last messages of a connection, for the case that nobody wants one. NATS says so
// within a round trip; an older one is forgotten.
type asked struct {
	mu   sync.Mutex
	next uint64
	ring []question // grows to maxAsked
}

type question struct {
	id       message.ID
	kind     message.Type
	from, to message.URL
	answered bool
}

const maxAsked = 512

// put remembers m. grown is how many bytes more are kept than before.
func (a *asked) put(m *message.Message) (number uint64, grown int) {
	q := question{id: m.ID, kind: m.Type, from: m.From, to: m.To}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.next
	a.next++
	if len(a.ring) < maxAsked {
		a.ring = append(a.ring, q)
		return n, q.size()
	}
	grown = q.size() - a.ring[n%maxAsked].size()
	a.ring[n%maxAsked] = q
	return n, grown
}

// answered tells whether a response is the first to one of the messages that are remembered. Whether it is from who was asked
// is for the asker to say: here it only counts that there are no more of them than questions.
func (a *asked) answered(m *message.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.ring {
		if q := &a.ring[i]; q.id == m.ID && q.from == m.To && !q.answered {
			q.answered = true
			return true
		}
	}
	return false
}

// size is about what a question keeps, in bytes.
func (q *question) size() int { return 128 + len(q.from) + len(q.to) }

func (a *asked) take(n uint64) (message.Message, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n >= a.next || a.next-n > uint64(len(a.ring)) {
		return message.Message{}, false
	}
	q := a.ring[n%maxAsked]
	return message.Message{ID: q.id, Type: q.kind, From: q.from, To: q.to}, true
}

// reply is the subject at which NATS tells this node that nobody wanted something of c.
func (n *Node) reply(c *conn, kind byte, number uint64) string {
	return n.subjects.Unanswered(n.id) + "." + strconv.FormatUint(c.id, 36) + "." + string(kind) + strconv.FormatUint(number, 36)
}
