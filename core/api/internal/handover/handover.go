// Package handover is what an application's hyperty is given: the credit that it has, and the messages that were handed to it
// and that it has not said to have taken.
//
// A [Handover] takes no lock and sends nothing: its owner guards it, and settles receipts without its lock.
package handover

import (
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Message is a message that the application was handed, without its body.
type Message struct {
	M       message.Message
	Receipt minibus.Receipt
	Units   int
}

// Handover is what one hyperty is given. It is made by [New].
type Handover struct {
	credit   int           // units that may be handed over
	taking   fifo[Message] // that were handed over and are not known to be taken
	units    int           // that the application has taken of the first of them
	answered fifo[Message] // the same of responses
}

// New is a handover with a whole window of credit.
func New() Handover { return Handover{credit: wire.Window} }

// Room tells whether a message may be handed over now. A response always may: its handler asked for it.
func (h *Handover) Room(response bool) bool { return response || h.credit > 0 }

// Handed is told that a message has been handed over.
func (h *Handover) Handed(m Message, response bool) {
	if response {
		h.answered.push(m)
		return
	}
	h.credit -= m.Units
	h.taking.push(m)
}

// Taken is told what the application says to have taken: so many units of messages, and so many responses. It appends to
// settled those of them that somebody has asked about. What an application says beyond what it was handed counts for nothing.
func (h *Handover) Taken(settled []Message, units, responses int) []Message {
	h.credit = min(h.credit+units, wire.Window)
	for h.units += units; h.taking.len() > 0 && h.units >= h.taking.first().Units; {
		m := h.taking.pop()
		if h.units -= m.Units; m.Receipt.By != nil {
			settled = append(settled, m)
		}
	}
	if h.taking.len() == 0 {
		h.units = 0
	}
	for ; responses > 0 && h.answered.len() > 0; responses-- {
		if m := h.answered.pop(); m.Receipt.By != nil {
			settled = append(settled, m)
		}
	}
	return settled
}

// End takes out what the application was handed and has not said to have taken.
func (h *Handover) End() []Message {
	return append(h.taking.takeAll(), h.answered.takeAll()...)
}
