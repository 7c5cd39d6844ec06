package wire

import (
	"encoding/binary"

	"github.com/protofly/protofly/sdk/message"
)

// Item is one of the messages and records that a frame consists of, or a ring. The number in front of it says how long
// it is, and, with its lowest bit, whether it is in short form.
type Item struct {
	Routing []byte // of a message whose form is complete; nil: it has that of the message before
	Own     []byte // the message's ID and body; of a record: kind, length and body
	Size    int    // of the message in binary form; 0: it is a record
}

const (
	ShortForm  = 1 // in the number in front: the routing is that of the message before in the same frame
	RecordForm = 0 // the number in front of a record
)

// Cut takes the first Item off items. routing is the size of the routing of the message before, 0: there is none. It is
// false where no Item is whole.
func Cut(items []byte, routing int) (p Item, rest []byte, ok bool) {
	number, n := binary.Uvarint(items)
	size, left := number>>1, items[max(n, 0):]
	switch {
	case n <= 0:
		return Item{}, nil, false
	case n == 1 && number == RecordForm:
		return cutRecord(left)
	case number&ShortForm != 0:
		if routing == 0 || size > uint64(len(left)) || size > uint64(MaxMessage-routing) {
			return Item{}, nil, false
		}
		return Item{Own: left[:size:size], Size: routing + int(size)}, left[size:], true
	}
	first, n := binary.Uvarint(left)
	left = left[max(n, 0):]
	if n <= 0 || first == 0 || first > size || size > uint64(len(left)) || size > MaxMessage {
		return Item{}, nil, false
	}
	return Item{Routing: left[:first:first], Own: left[first:size:size], Size: int(size)}, left[size:], true
}

// cutRecord is cut behind the number in front of a record.
func cutRecord(text []byte) (p Item, rest []byte, ok bool) {
	kind, k := binary.Uvarint(text)
	if k <= 0 || kind == 0 {
		return Item{}, nil, false
	}
	length, l := binary.Uvarint(text[k:])
	start := k + l
	if l <= 0 || length > maxRecord || length > uint64(len(text)-start) {
		return Item{}, nil, false
	}
	end := start + int(length)
	return Item{Own: text[:end:end]}, text[end:], true
}

// After is the size of the routing that holds behind p, where routing is what held before it.
func (p *Item) After(routing int) int {
	if p.Routing != nil {
		return len(p.Routing)
	}
	return routing
}

// Extent is what the items of a frame, or the last of them, amount to.
type Extent struct {
	Count   uint64 // of messages and records
	Records uint64
	Size    int // of the messages in binary form
}

// Measure checks that items consists of whole ones, no more of them than a frame may have.
func Measure(items []byte, routing int) (e Extent, err error) {
	for len(items) > 0 {
		p, rest, ok := Cut(items, routing)
		if !ok {
			return Extent{}, ErrShort
		}
		if p.Size == 0 {
			e.Records++
		}
		if e.Size += p.Size; e.Size > MaxMessage {
			return Extent{}, ErrFields
		}
		e.Count++
		items, routing = rest, p.After(routing)
	}
	return e, nil
}

// Skip passes over the first n items. routing is that of the last message among them.
func Skip(items []byte, n uint64) (routing, rest []byte) {
	for ; n > 0; n-- {
		p, rest, ok := Cut(items, len(routing))
		if !ok {
			break // cannot be: it was measured
		}
		if p.Routing != nil {
			routing = p.Routing
		}
		items = rest
	}
	return routing, items
}

// EachRecord calls f for each record among items, which were measured. routing is the size of the routing of the message before
// them, 0: there is none.
func EachRecord(items []byte, routing int, f func(record []byte)) {
	for len(items) > 0 {
		one, rest, ok := Cut(items, routing)
		if !ok {
			return // cannot be
		}
		if one.Size == 0 {
			f(one.Own)
		}
		items, routing = rest, one.After(routing)
	}
}

// MessageCost is what one message takes in a ring or an inbox besides its bytes.
const MessageCost = 64

// Cost is what messages are counted with that have so many bytes in binary form, however they are kept.
func Cost(size, messages uint64) int { return int(size + messages*MessageCost) }

// Messages are the messages in what ring.pack has appended to a frame. It is called only while somebody watches.
func Messages(packed []byte) []message.Message {
	var list []message.Message
	var parser message.Parser
	for routing := 0; len(packed) > 0; {
		one, rest, ok := Cut(packed, routing)
		if !ok {
			break
		}
		packed, routing = rest, one.After(routing)
		if one.Size == 0 {
			continue
		}
		if one.Routing != nil {
			parser.Routing(one.Routing)
		}
		if m, err := parser.Own(one.Own); err == nil {
			m.Body = nil // it is the frame's memory
			list = append(list, m)
		}
	}
	return list
}

// Key names a destination: what is held up together. That is an address, its responses apart, because they do not wait behind
// messages there.
type Key struct {
	URL      message.URL
	Response bool
}

// KeyOf is the destination of m.
func KeyOf(m *message.Message) Key { return Key{m.To, m.Type == message.Response} }
