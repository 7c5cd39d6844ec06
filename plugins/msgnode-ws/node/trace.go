package node

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

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
