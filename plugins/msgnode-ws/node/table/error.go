package table

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protofly/protofly/sdk/message"
)

func overtaken(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) ||
		errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Error is a read or write of the state that failed. Code says whether it may work again soon.
type Error struct {
	table string
	err   error
}

func (e *Error) Error() string {
	return fmt.Sprintf("the node's state (%s) cannot be written: %v", e.table, e.err)
}

func (e *Error) Unwrap() error { return e.err }

// Code is the response code for the error: 504 if the state cannot be reached, 500 if it refuses.
func (e *Error) Code() int {
	for _, away := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed,
		nats.ErrReconnectBufExceeded, nats.ErrDisconnected, jetstream.ErrNoStreamResponse} {
		if errors.Is(e.err, away) {
			return message.CodeUnavailable
		}
	}
	return message.CodeError
}
