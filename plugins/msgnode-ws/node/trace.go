package node

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Event is something that crossed the node: a message, or one payload of a Data frame, that came in from a runtime's
// stub or went out to one.
type Event struct {
	At   time.Time    `json:"at"`
	Kind string       `json:"kind"` // "in" or "out"
	From message.URL  `json:"from"` // the runtime whose stub it came from; the node's function where it made the message
	To   message.URL  `json:"to"`   // the runtime that it is for; of a message that came in, its to
	Type message.Type `json:"type,omitzero"`
	// MessageFrom and MessageTo are the message's own addresses; empty for Data.
	MessageFrom message.URL `json:"messageFrom,omitempty"`
	MessageTo   message.URL `json:"messageTo,omitempty"`
	Hash        string      `json:"hash,omitempty"` // Data: hex of the first 8 bytes of the payload's SHA-256
}

func (n *Node) traceMessage(kind string, from, to message.URL, m *message.Message) {
	if n.opts.Trace == nil {
		return
	}
	n.opts.Trace(Event{At: time.Now(), Kind: kind, From: from, To: to, Type: m.Type, MessageFrom: m.From, MessageTo: m.To})
}

func (n *Node) traceData(kind string, from, to message.URL, payloads wire.Payloads) {
	if n.opts.Trace == nil {
		return
	}
	for p := range payloads.All() {
		sum := sha256.Sum256(p)
		n.opts.Trace(Event{At: time.Now(), Kind: kind, From: from, To: to, Hash: hex.EncodeToString(sum[:8])})
	}
}

// tracePacket traces the frames that go out on c.
func (n *Node) tracePacket(c *conn, packet []byte) {
	if n.opts.Trace == nil {
		return
	}
	for to := c.whose(); len(packet) > 0; {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return
		}
		switch kind {
		case wire.KindMessage:
			if m, err := wire.ParseMessage(body); err == nil {
				n.traceMessage("out", m.From, to, &m)
			}
		case wire.KindData:
			if peer, payloads, err := wire.ParseData(body); err == nil {
				n.traceData("out", message.URL(peer), to, payloads)
			}
		}
		packet = rest
	}
}
