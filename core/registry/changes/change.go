package changes

import (
	"errors"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// The operations of an update; "": a complete list.
const (
	Add    = "add"
	Remove = "remove"
)

// Body is the body of an answer or an update.
type Body struct {
	Code      int           `json:"code,omitempty"`
	Operation string        `json:"operation,omitempty"`
	Value     []message.URL `json:"value"`
	Version   uint64        `json:"version"`
}

// Change is an update, or a complete list.
type Change struct {
	Operation string // Add, Remove; "": a complete list
	URLs      []message.URL
	Version   uint64
}

const (
	maxListBytes   = 512 << 10                     // of the addresses in one message
	maxChangeBytes = maxListBytes + maxListBytes/4 // of a body: reading it takes time
)

// ErrMalformed is in the error of a change that cannot be read.
var ErrMalformed = errors.New("registry changes")

// Parse reads the body of an update, or of the answer to a subscription.
func Parse(m *message.Message) (Change, error) {
	if len(m.Body) > maxChangeBytes {
		return Change{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(m.Body))
	}
	var body struct {
		Operation string       `json:"operation"`
		Value     message.URLs `json:"value"`
		Version   uint64       `json:"version"`
	}
	if err := m.Decode(&body); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if body.Operation != "" && body.Operation != Add && body.Operation != Remove {
		return Change{}, fmt.Errorf("%w: operation %.20q is neither %s nor %s", ErrMalformed, body.Operation, Add, Remove)
	}
	return Change{body.Operation, body.Value, body.Version}, nil
}

// size is about the memory that c takes.
func (c *Change) size() int {
	size := 0
	for _, u := range c.URLs {
		size += len(u) + 16
	}
	return size
}

// ParseSubscription reads which addresses a subscribe or unsubscribe is about; the field's name depends on the
// implementation.
func ParseSubscription(m *message.Message) (message.URLs, error) {
	var body struct {
		Subscribe   message.URLs `json:"subscribe"`
		Unsubscribe message.URLs `json:"unsubscribe"`
		Resources   message.URLs `json:"resources"`
		Resource    message.URLs `json:"resource"`
	}
	if err := m.Decode(&body); err != nil {
		return nil, err
	}
	all := append(append(append(body.Subscribe, body.Unsubscribe...), body.Resources...), body.Resource...)
	if len(all) == 0 || len(all) > 16 {
		return nil, &message.ResponseError{Code: message.CodeBadRequest, From: m.To, Description: "want subscribe: [<runtime>/registry/changes]"}
	}
	return all, nil
}

// cut splits urls into what fits one message and the rest.
func cut(urls []message.URL) (first, rest []message.URL) {
	size := 0
	for i, u := range urls {
		if size += len(u) + 4; size > maxListBytes {
			return urls[:i], urls[i:]
		}
	}
	return urls, nil
}
