package api

import (
	"context"
	"errors"
	"fmt"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// fault is why the runtime ends a stream: something that the application did.
type fault struct{ reason string }

func (f *fault) Error() string { return f.reason }

func faultf(format string, args ...any) error { return &fault{fmt.Sprintf(format, args...)} }

// tooOld is why an application of an earlier version is refused.
func tooOld(protocol uint32) string {
	return fmt.Sprintf("the application speaks version %d of the application API, this runtime version %d: build it against a newer sdk", protocol, wire.Protocol)
}

// response is the code and the reason that an error becomes.
func response(err error) (int, string) {
	var known *message.ResponseError
	var url *message.URLError
	switch {
	case errors.As(err, &known):
		return known.Code, known.Description
	case errors.Is(err, message.ErrTooLarge):
		return message.CodeTooLarge, err.Error()
	case errors.Is(err, message.ErrMalformed), errors.As(err, &url):
		return message.CodeBadRequest, err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return message.CodeUnavailable, fmt.Sprintf("the runtime did not take it in time: %v", err)
	}
	return message.CodeError, err.Error()
}

func goneError(who message.URL) error {
	return &message.ResponseError{Code: message.CodeNotFound, From: who, Description: fmt.Sprintf("%s has gone; it did not take the message", who)}
}

// endingError is why nothing is posted and registered while the runtime ends.
func endingError() error {
	return &message.ResponseError{Code: message.CodeUnavailable, Description: "the runtime is ending"}
}

// doubtError is the word on a message that a hyperty had, and was not done with.
func doubtError(who message.URL) error {
	return &message.ResponseError{Code: message.CodeUnavailable, State: message.StateInDoubt, From: who,
		Description: fmt.Sprintf("in doubt whether it was delivered: %s has gone", who)}
}

// returnedError is the word on a message that a hyperty has returned with a code.
func returnedError(code uint32, who message.URL) error {
	text := "%s takes no messages"
	switch code {
	case message.CodeUnavailable:
		return doubtError(who)
	case message.CodeTimeout:
	case message.CodeBadRequest:
		text = "%s cannot read the message"
	default:
		return goneError(who)
	}
	return &message.ResponseError{Code: int(code), From: who, Description: fmt.Sprintf(text, who)}
}
