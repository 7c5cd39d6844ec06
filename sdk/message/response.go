package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/protofly/protofly/internal/plainjson"
	"github.com/protofly/protofly/internal/printable"
)

// Response codes (specification, "Responses").
const (
	CodeAccepted     = 100 // provisional: the final answer follows
	CodeProgress     = 183
	CodeOK           = 200
	CodeBadRequest   = 400
	CodeUnauthorised = 401
	CodeForbidden    = 403
	CodeNotFound     = 404
	CodeTimeout      = 408 // no answer in time; from a Domain Registry: only unavailable entries
	CodeConflict     = 409
	CodeTooLarge     = 413
	CodeTooMany      = 429
	CodeError        = 500
	CodeUnavailable  = 504
)

// Encode is v as a body or value. It panics where v cannot be JSON, which is an error in the caller's code, never
// in its input.
func Encode(v any) json.RawMessage {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	b, err := plainjson.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("message: %T does not encode as JSON: %v", v, err))
	}
	return b
}

// Decode reads the body into v.
func (m *Message) Decode(v any) error {
	if len(m.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("%w: body of %s from %s: %w", ErrMalformed, m.Type, m.From, err)
	}
	return nil
}

// Respond makes the response to m with a value; value may be nil.
func (m *Message) Respond(code int, value any) Message {
	body := resultBody{Code: code}
	if value != nil {
		body.Value = Encode(value)
	}
	return m.RespondBody(Encode(body))
}

// Refuse makes the response that says why m was not done. The text is sent as desc and as description: the
// specification and its implementations differ.
func (m *Message) Refuse(code int, format string, args ...any) Message {
	text := fmt.Sprintf(format, args...)
	return m.RespondBody(Encode(resultBody{Code: code, Desc: text, Description: text}))
}

// The states of a message that a runtime reports in a response to it. A response without a state is an answer: whoever was asked had
// the message.
const (
	StateRefused = "refused"  // it was not delivered, certainly
	StateExpired = "expired"  // it was given up after its time; the description says whether it may have been delivered
	StateInDoubt = "in doubt" // it may have been delivered, and nobody will ever know
)

// Undelivered makes the response by which a runtime says what became of m, which nobody has answered: that it is refused, if e says
// no other state.
func (m *Message) Undelivered(e *ResponseError) Message {
	body := resultBody{Code: e.Code, Desc: e.Description, Description: e.Description, State: e.State}
	if body.State == "" {
		body.State = StateRefused
	}
	return m.RespondBody(Encode(body))
}

// RespondBody makes the response to m with a body that has a code already.
func (m *Message) RespondBody(body json.RawMessage) Message {
	return Message{ID: m.ID, Type: Response, From: m.To, To: m.From, Body: body}
}

type resultBody struct {
	Code        int             `json:"code"`
	Value       json.RawMessage `json:"value,omitempty"`
	Desc        string          `json:"desc,omitempty"`
	Description string          `json:"description,omitempty"`
	State       string          `json:"state,omitempty"`
}

// Result is what a response says.
type Result struct {
	Code        int
	Description string
	Value       json.RawMessage
	State       string // [StateRefused], [StateExpired], [StateInDoubt], or "": an answer
	From        URL    // who answered; after a local time-out, who should have answered
}

// Result reads the body of a response. A code may be a number or a numeric string.
func (m *Message) Result() (Result, error) {
	var b struct {
		Code        json.RawMessage `json:"code"`
		Desc        any             `json:"desc"`
		Description any             `json:"description"`
		Value       json.RawMessage `json:"value"`
		State       any             `json:"state"`
	}
	if m.Type != Response {
		return Result{}, fmt.Errorf("%w: a %s is no response", ErrMalformed, m.Type)
	}
	if err := m.Decode(&b); err != nil {
		return Result{}, err
	}
	text := string(b.Code)
	if s, err := strconv.Unquote(text); err == nil {
		text = s
	}
	code, err := strconv.Atoi(text)
	if err != nil || code < 100 || code > 999 {
		return Result{}, fmt.Errorf("%w: response from %s has code %.20s", ErrMalformed, m.From, b.Code)
	}
	r := Result{Code: code, Value: b.Value, From: m.From}
	if s, ok := b.Description.(string); ok {
		r.Description = s
	} else if s, ok := b.Desc.(string); ok {
		r.Description = s
	}
	if s, ok := b.State.(string); ok && (s == StateRefused || s == StateExpired || s == StateInDoubt) {
		r.State = s
	}
	return r, nil
}

// Provisional tells whether m is a response that does not end its request (1XX).
func (m *Message) Provisional() bool {
	r, err := m.Result()
	return err == nil && r.Code < 200
}

// ResponseError is a response of 300 and above, as an error. Its text is on one line and printable, whatever the
// description has in it.
type ResponseError struct {
	Code        int
	Description string
	State       string // what became of the message, as in [Result]
	From        URL    // who answered; after a local time-out, who should have answered
}

func (e *ResponseError) Error() string {
	if e.Description == "" {
		return fmt.Sprintf("%s answered %d", e.From, e.Code)
	}
	return fmt.Sprintf("%s answered %d: %s", e.From, e.Code, printable.Line(e.Description))
}

// Reason is err for the description of a response: where err is a *[ResponseError], or wraps one, without the words that it answered,
// and with which code, since the response says that again.
func Reason(err error) string {
	text := err.Error()
	var known *ResponseError
	if errors.As(err, &known) && known.Description != "" {
		text = strings.ReplaceAll(text, known.Error(), printable.Line(known.Description))
	}
	return text
}

// OK returns the value of a successful response; else the error is a *[ResponseError], or says what is malformed.
func (m *Message) OK() (json.RawMessage, error) {
	r, err := m.Result()
	if err != nil {
		return nil, err
	}
	if r.Code >= 300 {
		return nil, &ResponseError{Code: r.Code, Description: r.Description, State: r.State, From: m.From}
	}
	return r.Value, nil
}
