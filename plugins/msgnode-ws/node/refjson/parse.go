package refjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

const (
	// MaxRecipients is how many addresses a message's to may list.
	MaxRecipients = 256
	// maxCopies is how many bytes the copies of a message for a list of addresses may have together.
	maxCopies = 8 << 20
)

// Parse reads a message whose to may be a list.
func Parse(text []byte) ([]message.Message, error) {
	var to struct {
		To json.RawMessage `json:"to"`
	}
	if err := json.Unmarshal(text, &to); err != nil {
		return nil, fmt.Errorf("%w: %w", message.ErrMalformed, err)
	}
	if list := bytes.TrimSpace(to.To); len(list) == 0 || list[0] != '[' {
		var m message.Message
		err := m.UnmarshalJSON(text)
		return []message.Message{m}, err
	}
	var all Names
	if err := json.Unmarshal(to.To, &all); err != nil {
		return nil, fmt.Errorf("%w: to: %w", message.ErrMalformed, err)
	}
	if len(all) == 0 || len(all) > MaxRecipients {
		return nil, fmt.Errorf("%w: to lists %d addresses, want 1 to %d", message.ErrMalformed, len(all), MaxRecipients)
	}
	if size := len(all) * len(text); size > maxCopies {
		return nil, fmt.Errorf("%w: %d bytes to %d addresses, at most %d are sent in all", message.ErrTooLarge, len(text), len(all), maxCopies)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", message.ErrMalformed, err)
	}
	members["to"] = message.Encode(all[0])
	var first message.Message
	if err := first.UnmarshalJSON(message.Encode(members)); err != nil {
		return nil, err
	}
	messages := make([]message.Message, 0, len(all))
	for _, text := range all {
		u, err := message.ParseURL(strings.Clone(text)) // a copy, since u may be kept and text is a part of a long list
		if err != nil {
			return nil, fmt.Errorf("%w: to: %w", message.ErrMalformed, err)
		}
		m := first
		m.To = u
		messages = append(messages, m)
	}
	return messages, nil
}

// Salvage reads id, from and type at the head of a text whose rest may be cut off or broken.
func Salvage(text []byte) (id message.ID, from message.URL, kind message.Type) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return id, from, kind
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return id, from, kind
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return id, from, kind
		}
		var s string
		switch name {
		case "id":
			id, _ = message.ParseID(raw)
		case "from":
			if json.Unmarshal(raw, &s) == nil {
				from, _ = message.ParseURL(s)
			}
		case "type":
			if json.Unmarshal(raw, &s) == nil {
				kind, _ = message.ParseType(s)
			}
		}
	}
	return id, from, kind
}
