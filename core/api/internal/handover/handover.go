// Package handover is what an application's hyperty is given: the credit that it has, and the messages that were handed to it
// and that it has not said to have taken.
//
// A [Handover] takes no lock and sends nothing: its owner guards it, and settles receipts without its lock.
package handover

import (
	"maps"
	"slices"

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
	credit   int                // units that may be handed over
	taking   fifo[Message]      // that were handed over and are not known to be taken; those that were settled have no units
	first    uint64             // the number of the first of them
	apart    map[uint64]Message // … that keep the list from becoming shorter
	units    int                // that the application has taken of the first of them
	numbered bool               // the application says which messages it has taken
	answered fifo[Message]      // the same of responses
}

// maxList is more messages than a window has. An application that keeps one for long keeps no others.
const maxList = 4 * wire.Window

// New is a handover with a whole window of credit.
func New() Handover { return Handover{credit: wire.Window, first: 1} }

// Room tells whether a message may be handed over now. A response always may: its handler asked for it.
func (h *Handover) Room(response bool) bool { return response || h.credit > 0 }

// Handed is told that a message has been handed over.
func (h *Handover) Handed(m Message, response bool) {
	if response {
		h.answered.push(m)
		return
	}
	h.credit -= m.Units
	if h.taking.len() >= maxList {
		h.setApart()
	}
	h.taking.push(m)
}

// setApart empties the list.
func (h *Handover) setApart() {
	if h.apart == nil {
		h.apart = map[uint64]Message{}
	}
	for h.taking.len() > 0 {
		if m := h.pop(); m.Units > 0 {
			h.apart[h.first-1] = m
		}
	}
}

func (h *Handover) pop() Message {
	h.first++
	return h.taking.pop()
}

// Credit is told that so many units may be handed over again, that the messages with these numbers were taken, and so many
// responses. It appends to settled those of them that somebody has asked about. An application of an earlier version gives no
// numbers: its units are of the messages in their order. What an application says beyond what it was handed counts for nothing.
func (h *Handover) Credit(settled []Message, c *wire.Credit) []Message {
	units := int(min(c.Units, wire.Window))
	h.credit = min(h.credit+units, wire.Window)
	if len(c.Posts) > 0 {
		settled = h.Settled(settled, c.Posts)
	} else if !h.numbered {
		settled = h.inOrder(settled, units)
	}
	for n := c.Responses; n > 0 && h.answered.len() > 0; n-- {
		if m := h.answered.pop(); m.Receipt.By != nil {
			settled = append(settled, m)
		}
	}
	return settled
}

// inOrder is told that so many units of messages were taken, in the order in which they were handed over.
func (h *Handover) inOrder(settled []Message, units int) []Message {
	for h.units += units; h.taking.len() > 0 && h.units >= h.taking.first().Units; {
		m := h.pop()
		if h.units -= m.Units; m.Receipt.By != nil {
			settled = append(settled, m)
		}
	}
	if h.taking.len() == 0 {
		h.units = 0
	}
	return settled
}

// Settled takes out the messages with these numbers, and appends to settled those that somebody has asked about.
func (h *Handover) Settled(settled []Message, posts []wire.Span) []Message {
	h.numbered = true
	left := uint64(2 * maxList) // nobody has more to say at once
	for _, s := range posts {
		end := s.First + min(s.N, left)
		for number := s.First; number < end && number < h.first+uint64(h.taking.len()); number++ {
			left--
			if m := h.take(number); m.Receipt.By != nil {
				settled = append(settled, m)
			}
		}
	}
	return settled
}

// take takes a message out; one that is not there has no receipt.
func (h *Handover) take(number uint64) (m Message) {
	if number < h.first {
		m = h.apart[number]
		delete(h.apart, number)
		return m
	}
	if number == h.first { // nearly always
		m = h.pop()
	} else {
		at := h.taking.at(int(number - h.first))
		m, *at = *at, Message{}
	}
	for h.taking.len() > 0 && h.taking.first().Units == 0 {
		h.pop()
	}
	return m
}

// Taking tells whether there are messages, other than responses, that were handed over and are not known to be taken.
func (h *Handover) Taking() bool { return h.taking.len() > 0 || len(h.apart) > 0 }

// Returns tells whether there are such messages of which the application is going to say what became of them, also when it leaves.
func (h *Handover) Returns() bool { return h.numbered && h.Taking() }

// End takes out what the application was handed and has not said to have taken.
func (h *Handover) End() []Message { return append(h.Recall(), h.answered.takeAll()...) }

// Recall is End without the responses.
func (h *Handover) Recall() (left []Message) {
	h.setApart()
	for _, number := range slices.Sorted(maps.Keys(h.apart)) {
		left = append(left, h.apart[number])
	}
	h.apart = nil
	return left
}
