package session

import "encoding/binary"

// part is one of the messages and records that a frame consists of, or a ring. The number in front of it says how long
// it is, and, with its lowest bit, whether it is in short form.
type part struct {
	routing []byte // of a message whose form is complete; nil: it has that of the message before
	own     []byte // the message's ID and body; of a record: kind, length and body
	size    int    // of the message in binary form; 0: it is a record
}

const (
	shortForm  = 1 // in the number in front: the routing is that of the message before in the same frame
	recordForm = 0 // the number in front of a record
)

// cut takes the first part off parts. routing is the size of the routing of the message before, 0: there is none. It is
// false where no part is whole.
func cut(parts []byte, routing int) (p part, rest []byte, ok bool) {
	number, n := binary.Uvarint(parts)
	size, left := number>>1, parts[max(n, 0):]
	switch {
	case n <= 0:
		return part{}, nil, false
	case n == 1 && number == recordForm:
		return cutRecord(left)
	case number&shortForm != 0:
		if routing == 0 || size > uint64(len(left)) || size > uint64(maxMessage-routing) {
			return part{}, nil, false
		}
		return part{own: left[:size:size], size: routing + int(size)}, left[size:], true
	}
	first, n := binary.Uvarint(left)
	left = left[max(n, 0):]
	if n <= 0 || first == 0 || first > size || size > uint64(len(left)) || size > maxMessage {
		return part{}, nil, false
	}
	return part{routing: left[:first:first], own: left[first:size:size], size: int(size)}, left[size:], true
}

// cutRecord is cut behind the number in front of a record.
func cutRecord(text []byte) (p part, rest []byte, ok bool) {
	kind, k := binary.Uvarint(text)
	if k <= 0 || kind == 0 {
		return part{}, nil, false
	}
	length, l := binary.Uvarint(text[k:])
	start := k + l
	if l <= 0 || length > maxRecord || length > uint64(len(text)-start) {
		return part{}, nil, false
	}
	end := start + int(length)
	return part{own: text[:end:end]}, text[end:], true
}

// after is the size of the routing that holds behind p, where routing is what held before it.
func (p *part) after(routing int) int {
	if p.routing != nil {
		return len(p.routing)
	}
	return routing
}

// extent is what the parts of a frame, or the last of them, amount to.
type extent struct {
	count   uint64 // of messages and records
	records uint64
	size    int // of the messages in binary form
}

// measure checks that parts consists of whole ones, no more of them than a frame may have.
func measure(parts []byte, routing int) (e extent, err error) {
	for len(parts) > 0 {
		p, rest, ok := cut(parts, routing)
		if !ok {
			return extent{}, errShort
		}
		if p.size == 0 {
			e.records++
		}
		if e.size += p.size; e.size > maxMessage {
			return extent{}, errFields
		}
		e.count++
		parts, routing = rest, p.after(routing)
	}
	return e, nil
}

// skip passes over the first n parts. routing is that of the last message among them.
func skip(parts []byte, n uint64) (routing, rest []byte) {
	for ; n > 0; n-- {
		p, rest, ok := cut(parts, len(routing))
		if !ok {
			break // cannot be: it was measured
		}
		if p.routing != nil {
			routing = p.routing
		}
		parts = rest
	}
	return routing, parts
}
