package node

import (
	"time"

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
