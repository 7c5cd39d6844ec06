// Package trace reports what crosses the node.
package trace

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

// Trace is called with each event, from many goroutines, and must be quick. A nil Trace does nothing.
type Trace func(Event)

// The kinds of events.
const in, out = "in", "out"

// CameIn reports a message that a runtime's stub has sent.
func (t Trace) CameIn(from message.URL, m *message.Message) { t.message(in, from, m.To, m) }

// WentOut reports a message that is written to a runtime's stub.
func (t Trace) WentOut(to message.URL, m *message.Message) { t.message(out, m.From, to, m) }

func (t Trace) message(kind string, from, to message.URL, m *message.Message) {
	if t == nil {
		return
	}
	t(Event{At: time.Now(), Kind: kind, From: from, To: to, Type: m.Type, MessageFrom: m.From, MessageTo: m.To})
}

// DataCameIn reports each payload of a Data frame that a runtime's stub has sent.
func (t Trace) DataCameIn(from, to message.URL, payloads wire.Payloads) {
	t.data(in, from, to, payloads)
}

func (t Trace) data(kind string, from, to message.URL, payloads wire.Payloads) {
	if t == nil {
		return
	}
	for p := range payloads.All() {
		sum := sha256.Sum256(p)
		t(Event{At: time.Now(), Kind: kind, From: from, To: to, Hash: hex.EncodeToString(sum[:8])})
	}
}

// PacketWentOut reports the frames of a packet that is written to a runtime's stub.
func (t Trace) PacketWentOut(to message.URL, packet []byte) {
	if t == nil {
		return
	}
	for len(packet) > 0 {
		kind, body, rest, err := wire.Next(packet)
		if err != nil {
			return
		}
		switch kind {
		case wire.KindMessage:
			if m, err := wire.ParseMessage(body); err == nil {
				t.WentOut(to, &m)
			}
		case wire.KindData:
			if peer, payloads, err := wire.ParseData(body); err == nil {
				t.data(out, message.URL(peer), to, payloads)
			}
		}
		packet = rest
	}
}
