package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of a message from outside.
const (
	MaxBody = 1 << 20             // bytes of a body's JSON text
	MaxVia  = 16                  // stubs that a message may have crossed
	MaxJSON = MaxBody + 16*MaxURL // bytes of a whole message's JSON text
)

// Message is one message (specification, "Message model"). It is passed by value; Body and Via are immutable once the
// message has been posted, by the poster and by every receiver.
type Message struct {
	ID       ID // zero: the bus gives one
	Type     Type
	From, To URL
	Body     json.RawMessage // a JSON object or empty; the bus never opens it

	// Routing fields, which the JSON form keeps inside the body.
	Via    []URL    // the stubs that the message crossed: breaks loops
	Source URL      // its original creator, or the subscriber
	P2P    Tristate // the sender asks for, forbids or leaves open that a direct path is set up
}

// Errors of [Message.Check]. They come wrapped with what was found.
var (
	ErrTooLarge  = errors.New("message too large")
	ErrMalformed = errors.New("malformed message")
)

// Check tells whether m may be put on a bus: a type, both addresses, an object as body, everything within its limit.
// Addresses that were made by [ParseURL] are not parsed again.
func (m *Message) Check() error {
	switch {
	case !m.Type.Valid():
		return fmt.Errorf("%w: no type", ErrMalformed)
	case m.From == "":
		return fmt.Errorf("%w: no from", ErrMalformed)
	case m.To == "":
		return fmt.Errorf("%w: no to", ErrMalformed)
	case len(m.Via) > MaxVia:
		return fmt.Errorf("%w: crossed %d stubs, at most %d are allowed: a loop?", ErrMalformed, len(m.Via), MaxVia)
	}
	return checkBody(m.Body)
}

func checkBody(body []byte) error {
	switch {
	case len(body) > MaxBody:
		return fmt.Errorf("%w: a body of %d bytes, at most %d are allowed", ErrTooLarge, len(body), MaxBody)
	case len(body) > 0 && !isObject(body):
		return fmt.Errorf("%w: the body is not a JSON object", ErrMalformed)
	}
	return nil
}

func isObject(b []byte) bool {
	i := skipSpace(b, 0)
	return len(b)-i > 1 && b[i] == '{'
}

// Publication tells whether m is a message to subscribers: nobody has to listen to it, and it is never answered.
func (m *Message) Publication() bool {
	return (m.Type == Update || m.Type == Delete) && m.To.ForSubscribers()
}

// Crossed tells whether m has passed the stub or door u.
func (m *Message) Crossed(u URL) bool {
	for _, v := range m.Via {
		if v.Canonical() == u.Canonical() {
			return true
		}
	}
	return false
}

// Through returns m with u added to the stubs it crossed; m's own list is not changed.
func (m Message) Through(u URL) Message {
	m.Via = append(m.Via[:len(m.Via):len(m.Via)], u)
	return m
}

// MarshalJSON is [Message.AppendJSON] for package json, which may write characters of an ID in another form.
func (m Message) MarshalJSON() ([]byte, error) {
	return m.AppendJSON(make([]byte, 0, 128+len(m.From)+len(m.To)+len(m.Body)))
}

// AppendJSON appends the specification's JSON form to b, which it returns; the body is {} where there is none.
func (m *Message) AppendJSON(b []byte) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	b = append(b, `{"id":`...)
	b = m.ID.appendJSON(b)
	b = append(b, `,"type":"`...)
	b = append(b, m.Type.String()...)
	b = appendMember(b, `","from":`, string(m.From))
	b = appendMember(b, `,"to":`, string(m.To))
	b = append(b, `,"body":{`...)
	start := len(b)
	if len(m.Via) == 1 { // the reference code has one string, the specification a list
		b = appendMember(b, `,"via":`, string(m.Via[0]))
	} else if len(m.Via) > 1 {
		list, _ := json.Marshal(m.Via)
		b = append(append(b, `,"via":`...), list...)
	}
	if m.Source != "" {
		b = appendMember(b, `,"source":`, string(m.Source))
	}
	if m.P2P == Yes {
		b = append(b, `,"p2p":true`...)
	} else if m.P2P == No {
		b = append(b, `,"p2p":false`...)
	}
	if len(b) > start { // drop the first comma
		copy(b[start:], b[start+1:])
		b = b[:len(b)-1]
	}
	rest := bytes.TrimSpace(m.Body)
	if len(rest) > 0 {
		rest = bytes.TrimSpace(rest[1:])
		if len(b) > start && len(rest) > 0 && rest[0] != '}' {
			b = append(b, ',')
		}
		b = append(b, rest...)
	} else {
		b = append(b, '}')
	}
	return append(b, '}'), nil
}

func appendMember(b []byte, name, value string) []byte {
	b = append(b, name...)
	text, _ := json.Marshal(value)
	return append(b, text...)
}

// UnmarshalJSON reads the JSON form. Unknown header fields are ignored. A body member via, source or p2p that does
// not have the specification's form stays in the body.
func (m *Message) UnmarshalJSON(text []byte) error {
	if len(text) > MaxJSON {
		return fmt.Errorf("%w: %d bytes of JSON, at most %d are allowed", ErrTooLarge, len(text), MaxJSON)
	}
	var wire struct {
		ID       ID              `json:"id"`
		Type     Type            `json:"type"`
		From, To string          `json:"-"`
		FromText string          `json:"from"`
		ToText   string          `json:"to"`
		Body     json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(text, &wire); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	out := Message{ID: wire.ID, Type: wire.Type}
	var err error
	if out.From, err = ParseURL(wire.FromText); err != nil {
		return fmt.Errorf("%w: from: %w", ErrMalformed, err)
	}
	if out.To, err = ParseURL(wire.ToText); err != nil {
		return fmt.Errorf("%w: to: %w", ErrMalformed, err)
	}
	if out.Body = bytes.TrimSpace(wire.Body); string(out.Body) == "null" {
		out.Body = nil
	}
	if err := out.Check(); err != nil {
		return err
	}
	if err := out.liftRouting(); err != nil {
		return err
	}
	*m = out
	return nil
}

// liftRouting moves via, source and p2p from the body to their fields.
func (m *Message) liftRouting() error {
	if len(m.Body) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(m.Body, &members); err != nil {
		return fmt.Errorf("%w: body: %w", ErrMalformed, err)
	}
	before := len(members)
	var via URLs
	if raw, ok := members["via"]; ok && json.Unmarshal(raw, &via) == nil {
		if len(via) > MaxVia {
			return fmt.Errorf("%w: crossed %d stubs, at most %d are allowed: a loop?", ErrMalformed, len(via), MaxVia)
		}
		m.Via = via
		delete(members, "via")
	}
	var source string
	if raw, ok := members["source"]; ok && json.Unmarshal(raw, &source) == nil {
		if u, err := ParseURL(source); err == nil {
			m.Source = u
			delete(members, "source")
		}
	}
	switch string(members["p2p"]) {
	case "true":
		m.P2P = Yes
		delete(members, "p2p")
	case "false":
		m.P2P = No
		delete(members, "p2p")
	}
	if len(members) == before {
		return nil
	}
	body, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("%w: body: %w", ErrMalformed, err)
	}
	m.Body = body
	return nil
}

// URLs is a list of addresses that is also read from a single string: the specification and its implementations
// write both.
type URLs []URL

// maxNesting is how deep lists of addresses may be nested: implementations write one list too many, not more.
const maxNesting = 4

// UnmarshalJSON takes a string or a list of strings, lists of lists included, and checks every address.
func (l *URLs) UnmarshalJSON(text []byte) error { return l.parse(text, maxNesting) }

func (l *URLs) parse(text []byte, nesting int) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		u, err := ParseURL(one)
		*l = URLs{u}
		return err
	}
	if nesting == 0 {
		return fmt.Errorf("lists of addresses nested deeper than %d", maxNesting)
	}
	var many []json.RawMessage
	if err := json.Unmarshal(text, &many); err != nil {
		return fmt.Errorf("want an address or a list of addresses: %w", err)
	}
	*l = make(URLs, 0, len(many))
	for _, raw := range many {
		var inner URLs
		if err := inner.parse(raw, nesting-1); err != nil {
			return err
		}
		*l = append(*l, inner...)
	}
	return nil
}
