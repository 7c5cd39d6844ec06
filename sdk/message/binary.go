package message

import (
	"encoding/binary"
	"fmt"
)

// Field numbers of the protobuf message Message in sdk/link/link.proto.
const (
	fieldIDNumber = 1
	fieldIDText   = 2
	fieldType     = 3
	fieldFrom     = 4
	fieldTo       = 5
	fieldBody     = 6
	fieldVia      = 7
	fieldSource   = 8
	fieldP2P      = 9
)

const wireVarint, wireBytes = 0, 2

// AppendBinary appends the binary form of m to b, which it returns. It allocates only to grow b.
func (m *Message) AppendBinary(b []byte) []byte {
	if m.ID.raw != "" {
		b = appendField(b, fieldIDText, m.ID.raw)
	} else if m.ID.n != 0 {
		b = append(b, fieldIDNumber<<3|wireVarint)
		b = binary.AppendUvarint(b, m.ID.n)
	}
	b = append(b, fieldType<<3|wireVarint, byte(m.Type))
	b = appendField(b, fieldFrom, string(m.From))
	b = appendField(b, fieldTo, string(m.To))
	if len(m.Body) > 0 {
		b = append(b, fieldBody<<3|wireBytes)
		b = binary.AppendUvarint(b, uint64(len(m.Body)))
		b = append(b, m.Body...)
	}
	for _, v := range m.Via {
		b = appendField(b, fieldVia, string(v))
	}
	if m.Source != "" {
		b = appendField(b, fieldSource, string(m.Source))
	}
	switch m.P2P {
	case Yes:
		b = append(b, fieldP2P<<3|wireVarint, 1)
	case No:
		b = append(b, fieldP2P<<3|wireVarint, 2)
	}
	return b
}

func appendField(b []byte, field byte, s string) []byte {
	b = append(b, field<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// ParseBinary reads the binary form. Unknown fields are skipped. The message's Body aliases b, which must not change
// afterwards; everything else is copied.
func ParseBinary(b []byte) (Message, error) {
	var p Parser
	return p.Parse(b)
}

// Parser reads messages one after the other. Where one has an address of the message before, it is not made and checked
// again: then reading allocates nothing. The zero value is ready. It is not for more than one goroutine at a time.
type Parser struct{ from, to, source URL }

// url is the address in data; last is the one that was in its place the last time.
func (p *Parser) url(data []byte, last *URL) (URL, error) {
	if string(data) == string(*last) && len(data) > 0 {
		return *last, nil
	}
	u, err := ParseURL(string(data))
	if err == nil {
		*last = u
	}
	return u, err
}

// Parse is [ParseBinary] for the next message.
func (p *Parser) Parse(b []byte) (Message, error) {
	var m Message
	short := func(what string) (Message, error) {
		return Message{}, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return short("bad field tag")
		}
		b = b[n:]
		var number uint64
		var data []byte
		switch tag & 7 {
		case wireVarint:
			if number, n = binary.Uvarint(b); n <= 0 {
				return short("bad number")
			}
			b = b[n:]
		case wireBytes:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return short("a field is cut off")
			}
			data, b = b[n:n+int(size)], b[n+int(size):]
		default:
			return short("unknown wire type")
		}
		if err := p.setField(&m, tag, number, data); err != nil {
			return Message{}, err
		}
	}
	if err := m.Check(); err != nil {
		return Message{}, err
	}
	if len(m.Body) > 0 && !validJSON(m.Body) {
		return short("the body is not JSON")
	}
	return m, nil
}

func (p *Parser) setField(m *Message, tag, number uint64, data []byte) (err error) {
	switch tag {
	case fieldIDNumber<<3 | wireVarint:
		m.ID = ID{n: number}
	case fieldIDText<<3 | wireBytes:
		m.ID, err = ParseID(data)
	case fieldType<<3 | wireVarint:
		if number == 0 || number >= uint64(len(typeNames)) {
			return fmt.Errorf("%w: type %d is not one", ErrMalformed, number)
		}
		m.Type = Type(number)
	case fieldFrom<<3 | wireBytes:
		m.From, err = p.url(data, &p.from)
	case fieldTo<<3 | wireBytes:
		m.To, err = p.url(data, &p.to)
	case fieldBody<<3 | wireBytes:
		if len(data) > 0 { // an empty one is none
			m.Body = data
		}
	case fieldVia<<3 | wireBytes:
		if len(m.Via) >= MaxVia {
			return fmt.Errorf("%w: crossed more than %d stubs: a loop?", ErrMalformed, MaxVia)
		}
		var u URL
		u, err = ParseURL(string(data))
		m.Via = append(m.Via, u)
	case fieldSource<<3 | wireBytes:
		m.Source, err = p.url(data, &p.source)
	case fieldP2P<<3 | wireVarint:
		switch number {
		case 1:
			m.P2P = Yes
		case 2:
			m.P2P = No
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
