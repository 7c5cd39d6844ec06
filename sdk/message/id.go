package message

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxID is the longest ID, in bytes of its JSON text, that is accepted.
const maxID = 64

var errID = errors.New("message id: want a JSON number or a string of at most 64 bytes")

// ID correlates a response with its request, together with the requester's address. It keeps the JSON text that it
// was read from byte for byte, so that a response echoes it unchanged. The zero value (and JSON 0) is "none": a bus
// gives one.
type ID struct {
	n   uint64 // set when the text is a canonical unsigned number
	raw string // else the JSON text itself
}

// NumberID is the ID whose JSON text is the decimal n.
func NumberID(n uint64) ID { return ID{n: n} }

// ParseID reads an ID from its JSON text.
func ParseID(text []byte) (ID, error) {
	if len(text) == 0 || len(text) > maxID {
		return ID{}, errID
	}
	if text[0] == '"' {
		if !validJSON(text) || !utf8.Valid(text) { // it is written as it is, inside of JSON
			return ID{}, errID
		}
		if len(text) == 2 {
			return ID{}, nil
		}
		return ID{raw: string(text)}, nil
	}
	if n, err := strconv.ParseUint(string(text), 10, 64); err == nil && (text[0] != '0' || len(text) == 1) && text[0] != '+' {
		return ID{n: n}, nil
	}
	if string(text) == "null" {
		return ID{}, nil
	}
	if _, err := strconv.ParseFloat(string(text), 64); err != nil || !validJSON(text) {
		return ID{}, fmt.Errorf("%w: %q", errID, text)
	}
	return ID{raw: string(text)}, nil
}

// IsZero tells whether there is no ID.
func (id ID) IsZero() bool { return id == ID{} }

// Key is a comparable form in which the number 2 and the string "2" are the same ID: some Message Nodes in use
// write the one for the other.
func (id ID) Key() ID {
	if len(id.raw) > 2 && id.raw[0] == '"' {
		if n, err := strconv.ParseUint(id.raw[1:len(id.raw)-1], 10, 64); err == nil {
			return ID{n: n}
		}
	}
	return id
}

// String is the JSON text.
func (id ID) String() string {
	if id.raw != "" {
		return id.raw
	}
	return strconv.FormatUint(id.n, 10)
}

// MarshalJSON writes the text that the ID was read from.
func (id ID) MarshalJSON() ([]byte, error) { return id.appendJSON(nil), nil }

func (id ID) appendJSON(b []byte) []byte {
	if id.raw != "" {
		return append(b, id.raw...)
	}
	return strconv.AppendUint(b, id.n, 10)
}

// UnmarshalJSON is [ParseID].
func (id *ID) UnmarshalJSON(text []byte) (err error) {
	*id, err = ParseID(text)
	return err
}
