package message

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// ParseBinary reads the binary form. Unknown fields are skipped. The message's Body aliases b, which must not change
// afterwards; everything else is copied.
func ParseBinary(b []byte) (Message, error) {
	var p Parser
	return p.Parse(b)
}

// Parser reads messages one after the other. A routing that is the same as that of the message before is not read again.
// An address that is the same as in the message before is not made and checked again. So reading such messages allocates
// nothing. The zero value is ready. It is not for more than one goroutine at a time.
type Parser struct {
	from, to, source URL

	text    []byte  // the routing that was read last
	routing Message // the same, parsed
	err     error   // what is wrong with it
	checked bool    // it has been checked as a message's
}

// url returns the address in data; last is the address in the same field of the message before.
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
	at := 0
	if p.err == nil && len(p.text) > 0 && bytes.HasPrefix(b, p.text) {
		m, at = p.routing, len(p.text)
	}
	known, leads := at, true // leads: so far everything was routing
	for at < len(b) {
		f, err := nextField(b[at:])
		if err != nil {
			return Message{}, err
		}
		if leads && !f.isRouting() {
			leads = false
			p.keep(b[:at], known, &m)
		}
		if err := p.setField(&m, &f); err != nil {
			return Message{}, err
		}
		at += f.size
	}
	return checked(m)
}

// keep remembers text, the routing of m, unless the parser has it: known is how many of its first bytes the parser has.
func (p *Parser) keep(text []byte, known int, m *Message) {
	if len(text) > known {
		p.text, p.routing, p.err, p.checked = append(p.text[:0], text...), *m, nil, false
		p.routing.Via = slices.Clip(m.Via)
	}
}

// Routing reads the first part of a binary form, for [Parser.Own]. If it is malformed, Own returns the error.
func (p *Parser) Routing(b []byte) {
	if p.err == nil && len(b) > 0 && bytes.Equal(b, p.text) {
		return
	}
	var m Message
	p.text, p.routing, p.err, p.checked = p.text[:0], Message{}, nil, false
	for at := 0; at < len(b); {
		f, err := nextField(b[at:])
		if err == nil && f.isOwn() {
			err = fmt.Errorf("%w: an ID or a body in the routing", ErrMalformed)
		}
		if err == nil {
			err = p.setField(&m, &f)
		}
		if err != nil {
			p.err = err
			return
		}
		at += f.size
	}
	p.keep(b, 0, &m)
}

// Own reads the second part of a binary form, of a message whose routing was read last. The message's Body aliases b;
// messages with the same routing share their Via.
func (p *Parser) Own(b []byte) (m Message, err error) {
	err = p.OwnTo(&m, b)
	return m, err
}

// OwnTo is [Parser.Own] into m, whatever m was; after an error it is the zero Message.
func (p *Parser) OwnTo(m *Message, b []byte) error {
	err := p.sound()
	if err == nil {
		*m = p.routing
		if id, body, ok := numbered(b); ok {
			m.ID.n, m.Body = id, body
		} else {
			err = p.own(m, b)
		}
	}
	if err == nil {
		err = checkText(m.Body)
	}
	if err != nil {
		*m = Message{}
	}
	return err
}

// sound tells what is wrong with the routing that was read last. It checks once for all messages with this routing.
func (p *Parser) sound() error {
	if p.err == nil && !p.checked {
		p.err, p.checked = p.routing.Check(), true
	}
	return p.err
}

// numbered reads a second part that has nothing but a number and a body, as nearly all have.
func numbered(b []byte) (id uint64, body []byte, ok bool) {
	if len(b) < 4 || b[0] != fieldIDNumber<<3|wireVarint {
		return 0, nil, false
	}
	id, n := binary.Uvarint(b[1:])
	if b = b[1+max(n, 0):]; n <= 0 || len(b) < 2 || b[0] != fieldBody<<3|wireBytes {
		return 0, nil, false
	}
	size, n := binary.Uvarint(b[1:])
	if b = b[1+max(n, 0):]; n <= 0 || size == 0 || size != uint64(len(b)) {
		return 0, nil, false
	}
	return id, b, true
}

// own reads a second part of any form.
func (p *Parser) own(m *Message, b []byte) error {
	for at := 0; at < len(b); {
		f, err := nextField(b[at:])
		if err == nil && f.isRouting() {
			err = fmt.Errorf("%w: routing behind the ID or the body", ErrMalformed)
		}
		if err == nil {
			err = p.setField(m, &f)
		}
		if err != nil {
			return err
		}
		at += f.size
	}
	return nil
}

func checked(m Message) (Message, error) {
	err := m.Check()
	if err == nil {
		err = checkText(m.Body)
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// checkText tells whether a body from outside is valid; it looks at all of it.
func checkText(body []byte) error {
	err := checkBody(body)
	if err == nil && len(body) > 0 && !validJSON(body) {
		err = fmt.Errorf("%w: the body is not JSON", ErrMalformed)
	}
	return err
}

// field is one field of a binary form.
type field struct {
	tag    uint64
	number uint64 // its value
	data   []byte // or this, of the kind wireBytes
	size   int    // of all of it
}

// isRouting tells whether the field may be in the first part of a binary form.
func (f *field) isRouting() bool {
	n := f.tag >> 3
	return n >= fieldType && n <= fieldP2P && n != fieldBody
}

func (f *field) isOwn() bool {
	n := f.tag >> 3
	return n == fieldIDNumber || n == fieldIDText || n == fieldBody
}

// nextField reads the field that b begins with.
func nextField(b []byte) (f field, err error) {
	short := func(what string) (field, error) {
		return field{}, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	tag, at := binary.Uvarint(b)
	if at <= 0 || tag>>3 == 0 {
		return short("bad field tag")
	}
	number, n := binary.Uvarint(b[at:])
	if at += n; n <= 0 {
		return short("bad number")
	}
	f = field{tag: tag, number: number, size: at}
	switch tag & 7 {
	case wireVarint:
	case wireBytes:
		if number > uint64(len(b)-at) {
			return short("a field is cut off")
		}
		f.size += int(number)
		f.data = b[at:f.size]
	default:
		return short("unknown wire type")
	}
	return f, nil
}

func (p *Parser) setField(m *Message, f *field) (err error) {
	data := f.data
	switch number := f.number; f.tag {
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
		if len(data) > 0 { // an empty text is no address
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
