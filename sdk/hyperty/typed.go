package hyperty

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/protofly/protofly/sdk/message"
)

// HandleJSON is [Hyperty.Handle] for messages that carry a T, in the form in which [Hyperty.Send] sends one: a struct or a map is the
// body itself, anything else its member "value". A message that does not fit is refused with code 400 and names the field that does
// not; f is not called for it. Members that T does not have are ignored.
//
// An error of f refuses the message: with the code and description of a *[message.ResponseError], else with code 500 and the error's
// text, which the sender reads. f answers by [Received.Answer], before it returns nil.
func HandleJSON[T any](h *Hyperty, f func(ctx context.Context, in T, m Received) error) {
	h.Handle(func(ctx context.Context, m Received) {
		var in T
		err := decodeBody(m.Body, &in)
		if err == nil {
			err = f(ctx, in, m)
		}
		if err == nil {
			return
		}
		code, reason := message.CodeError, err.Error()
		if known := (*message.ResponseError)(nil); errors.As(err, &known) && known.Code >= 300 {
			code, reason = known.Code, known.Description
		}
		_ = m.Refuse(ctx, code, reason) // fails where the hyperty has ended: then its sender is told by the runtime
	})
}

// RequestJSON is [Hyperty.Request] whose answer's value is a T. Where the value does not fit, the error is [message.ErrMalformed] and
// names the field. Where there is no value, the T is the zero one.
func RequestJSON[T any](ctx context.Context, h *Hyperty, to message.URL, t message.Type, body any) (T, error) {
	var out T
	result, err := h.Request(ctx, to, t, body)
	if err == nil && len(result.Value) > 0 {
		err = fits(json.Unmarshal(result.Value, &out))
		if err != nil {
			err = fmt.Errorf("%w: the answer of %s: %w", message.ErrMalformed, result.From, err)
		}
	}
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// decodeBody reads a body that encodeBody has made. The error is a *message.ResponseError with code 400.
func decodeBody(body json.RawMessage, v any) error {
	var err error
	var only map[string]json.RawMessage
	switch t := reflect.TypeOf(v).Elem(); {
	case len(body) == 0:
		return nil
	case isBody(t):
		err = json.Unmarshal(body, v)
	default:
		if err = json.Unmarshal(body, &only); err != nil {
			break
		}
		if value, ok := only["value"]; ok && len(only) == 1 {
			body = value
		}
		err = json.Unmarshal(body, v)
	}
	if err = fits(err); err != nil {
		return &message.ResponseError{Code: message.CodeBadRequest, Description: err.Error()}
	}
	return nil
}

// isBody tells whether values of a type are encoded as JSON objects: they are bodies themselves.
func isBody(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	return !own && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map)
}

// fits is err, an error of package json, for people who see the JSON and not the Go types.
func fits(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("the field %q: %s does not fit", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("the field \"value\": %s does not fit", wrong.Value)
	}
	return err
}
