package message

import (
	"fmt"
	"strings"
)

// Type is what a message asks for (specification, "Message model"). The zero value is no type: not valid on a bus.
type Type uint8

// The specification's types, and those of the reference code: Event for children of data objects, and Open, ReOpen
// and Close between a session-style stub and its Message Node.
const (
	Create Type = iota + 1
	Read
	Update
	Delete
	Subscribe
	Unsubscribe
	Execute
	Forward
	Response
	Event
	Open
	ReOpen
	Close
)

var typeNames = [...]string{"", "create", "read", "update", "delete", "subscribe", "unsubscribe", "execute", "forward",
	"response", "event", "open", "re-open", "close"}

// ParseType reads a type, in any case: some of the specification's examples are upper case.
func ParseType(s string) (Type, error) {
	for i, name := range typeNames[1:] {
		if strings.EqualFold(s, name) {
			return Type(i + 1), nil
		}
	}
	return 0, fmt.Errorf("message type %q: want one of %s", s[:min(len(s), 40)], strings.Join(typeNames[1:], ", "))
}

// Valid tells whether t is one of the constants.
func (t Type) Valid() bool { return t > 0 && int(t) < len(typeNames) }

func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return typeNames[t]
}

// MarshalText writes the specification's word.
func (t Type) MarshalText() ([]byte, error) {
	if !t.Valid() {
		return nil, fmt.Errorf("message type %d is not one", uint8(t))
	}
	return []byte(typeNames[t]), nil
}

// UnmarshalText is [ParseType].
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// Status is the state of a stub or of a P2P connection, as a stub posts it to <stub>/status (specification,
// "Status").
type Status uint8

// The states of a P2P connection, and of a Message Node stub's connection. Deploying, Deployed and DeploymentFailed
// exist for stubs only.
const (
	Created Status = iota + 1
	InProgress
	Live
	Failed
	Disconnected
	Deploying
	Deployed
	DeploymentFailed
)

var statusNames = [...]string{"", "created", "in-progress", "live", "failed", "disconnected", "deploying", "deployed", "deployment-failed"}

// ParseStatus reads a status. It also takes the words of older texts: create, connecting, connected.
func ParseStatus(s string) (Status, error) {
	switch low := strings.ToLower(s); low {
	case "create":
		return Created, nil
	case "connecting":
		return InProgress, nil
	case "connected":
		return Live, nil
	default:
		for i, name := range statusNames[1:] {
			if low == name {
				return Status(i + 1), nil
			}
		}
	}
	return 0, fmt.Errorf("status %q: want one of %s", s[:min(len(s), 40)], strings.Join(statusNames[1:], ", "))
}

func (s Status) String() string {
	if s == 0 || int(s) >= len(statusNames) {
		return fmt.Sprintf("status(%d)", uint8(s))
	}
	return statusNames[s]
}

// MarshalText writes the specification's word.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is [ParseStatus].
func (s *Status) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStatus(string(text))
	return err
}

// Tristate is a wish that may be left open. Its zero value is "left open".
type Tristate int8

// The three answers.
const (
	Unset Tristate = 0
	Yes   Tristate = 1
	No    Tristate = -1
)
