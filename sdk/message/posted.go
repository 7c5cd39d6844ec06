package message

import "fmt"

// FieldError says which field of a message is not what it has to be. It wraps [ErrMalformed] or [ErrTooLarge], and where an address
// is wrong also a [*URLError].
type FieldError struct {
	Field string // as in the JSON form: type, from, to, body, via, source
	Err   error
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("the field %q of the message: %v", e.Field, e.Err)
}

func (e *FieldError) Unwrap() error { return e.Err }

// Checker checks messages of an author who may have made anything, one after the other: all that [ParseBinary] would refuse. An
// address that was in its place in the message before is not read again, and nothing is allocated for a message that is right. The
// zero value is ready. It is not for more than one goroutine at a time.
type Checker struct{ from, to, source URL }

// Check returns a [*FieldError] for the first field of m that is wrong.
func (c *Checker) Check(m *Message) error {
	if err := c.CheckRouting(m); err != nil {
		return err
	}
	return m.CheckBody()
}

// CheckBody is [Checker.Check] for the body alone. It needs no Checker: so a caller that guards its Checker by a lock can look at the
// body, which may take a tenth of a millisecond, without the lock.
func (m *Message) CheckBody() error {
	if err := checkText(m.Body); err != nil {
		return &FieldError{"body", err}
	}
	return nil
}

// CheckRouting is [Checker.Check] for all fields but the body.
func (c *Checker) CheckRouting(m *Message) error {
	if !m.Type.Valid() {
		return &FieldError{"type", fmt.Errorf("%w: no type", ErrMalformed)}
	}
	if m.From == "" || m.From != c.from {
		if err := addressOf("from", m.From); err != nil {
			return err
		}
		c.from = m.From
	}
	if m.To == "" || m.To != c.to {
		if err := addressOf("to", m.To); err != nil {
			return err
		}
		c.to = m.To
	}
	if m.Source != c.source {
		if err := addressOf("source", m.Source); m.Source != "" && err != nil {
			return err
		}
		c.source = m.Source
	}
	if len(m.Via) > MaxVia {
		return &FieldError{"via", m.Check()}
	}
	for _, u := range m.Via {
		if err := addressOf("via", u); err != nil {
			return err
		}
	}
	return nil
}

func addressOf(field string, u URL) error {
	if _, err := ParseURL(string(u)); err != nil {
		return &FieldError{field, fmt.Errorf("%w: %w", ErrMalformed, err)}
	}
	return nil
}

// Salvage reads what can be read of a binary form that [ParseBinary] refuses, so that whoever has sent it can be told: ID, type, and
// the addresses that are right. What cannot be read is zero; there is never a body.
func Salvage(b []byte) Message {
	var m Message
	var p Parser
	for at := 0; at < len(b); {
		f, err := nextField(b[at:])
		if err != nil {
			break
		}
		at += f.size
		if n := f.tag >> 3; n == fieldBody || n == fieldVia {
			continue
		}
		before := m
		if p.setField(&m, &f) != nil {
			m = before
		}
	}
	return Message{ID: m.ID, Type: m.Type, From: m.From, To: m.To}
}
