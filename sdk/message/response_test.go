package message

import (
	"errors"
	"fmt"
	"testing"
)

// A response says what became of the message; an answer does not.
func TestStates(t *testing.T) {
	m := Message{ID: NumberID(1), Type: Update, From: "hyperty://a.example/x", To: "hyperty://a.example/y"}
	for want, r := range map[string]Message{
		StateRefused: m.Undelivered(&ResponseError{Code: 404}),
		StateInDoubt: m.Undelivered(&ResponseError{Code: 504, State: StateInDoubt}),
		StateExpired: m.Undelivered(&ResponseError{Code: 504, State: StateExpired}),
		"":           m.Refuse(403, "no"),
	} {
		_, err := r.OK()
		var known *ResponseError
		if !errors.As(err, &known) || known.State != want {
			t.Errorf("%s: %v, %+v", want, err, known)
		}
	}
	if r, err := (&Message{Type: Response, Body: []byte(`{"code":200,"state":"else"}`)}).Result(); err != nil || r.State != "" {
		t.Errorf("a state that is not known: %+v, %v", r, err)
	}
}

// The description of a response does not say the code again.
func TestReason(t *testing.T) {
	inner := &ResponseError{Code: 403, From: "hyperty://a.example/x", Description: "not allowed"}
	for want, err := range map[string]error{
		"not allowed":         inner,
		"post: not allowed":   fmt.Errorf("post: %w", inner),
		"something else":      errors.New("something else"),
		" answered 403":       &ResponseError{Code: 403},
		"a: b: not allowed c": fmt.Errorf("a: %w", fmt.Errorf("b: %w c", inner)),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
