package protocol

import (
	"errors"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Refuse is a refusal with a response code.
func Refuse(code int, text string) error {
	return &message.ResponseError{Code: code, Description: text}
}

// NotYours is the refusal to touch an object that another component reports, or nobody here.
func NotYours(url message.URL, exists bool) error {
	if exists {
		return Refuse(message.CodeForbidden, "only its reporter may do that with "+string(url))
	}
	return Refuse(message.CodeNotFound, "no data object "+string(url)+" is reported here")
}

// Refusal answers msg with the code in err.
func Refusal(msg message.Message, err error) message.Message {
	code, text := CodeOf(err), err.Error()
	if known := (*message.ResponseError)(nil); errors.As(err, &known) && known.Description != "" {
		text = known.Description
	}
	return msg.Refuse(code, "%s", text)
}

// CodeOf is the response code that err stands for.
func CodeOf(err error) int {
	known := (*message.ResponseError)(nil)
	switch {
	case errors.As(err, &known):
		return known.Code
	case errors.Is(err, object.ErrTooLarge), errors.Is(err, message.ErrTooLarge):
		return message.CodeTooLarge
	case errors.Is(err, object.ErrData), errors.Is(err, object.ErrPath), errors.Is(err, object.ErrMetadata), errors.Is(err, message.ErrMalformed):
		return message.CodeBadRequest
	}
	return message.CodeError
}
