package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// caller posts the Registry's own messages.
type caller struct {
	Bus
	url     message.URL // the Registry's
	timeout time.Duration
	log     hclog.Logger
}

// request sends a request from the Registry and returns the value of its successful answer. The error is a
// *message.ResponseError, with the code of an answer that refuses, or 504 where no answer came in time.
func (c *caller) request(ctx context.Context, typ message.Type, to message.URL, body any) (message.Message, error) {
	return c.requestWithin(ctx, c.timeout, message.Message{Type: typ, From: c.url, To: to, Body: message.Encode(body)})
}

func (c *caller) requestWithin(ctx context.Context, timeout time.Duration, m message.Message) (message.Message, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := c.Request(bounded, m)
	if err != nil {
		if ctx.Err() == nil && bounded.Err() != nil {
			err = &message.ResponseError{Code: message.CodeUnavailable, From: m.To, Description: fmt.Sprintf("no answer within %v", timeout)}
		}
		return message.Message{}, err
	}
	_, err = answer.OK()
	return answer, err
}

// post sends a message from the Registry, and logs an error.
func (c *caller) post(ctx context.Context, m message.Message) {
	if err := c.Post(ctx, m); err != nil && ctx.Err() == nil {
		c.log.Warn("message not posted", "type", m.Type, "to", m.To, "error", err)
	}
}

type executeBody struct {
	Method string        `json:"method"`
	Params []message.URL `json:"params"`
}

// execute sends an "execute" to a stub, or to another runtime's Registry, and waits for the answer.
func (c *caller) execute(ctx context.Context, to message.URL, timeout time.Duration, method string, params ...message.URL) error {
	_, err := c.requestWithin(ctx, timeout, message.Message{Type: message.Execute, From: c.url, To: to, Body: message.Encode(executeBody{method, params})})
	return err
}

// refuse makes the error that becomes the response to a message.
func (c *caller) refuse(code int, format string, args ...any) error {
	return &message.ResponseError{Code: code, From: c.url, Description: fmt.Sprintf(format, args...)}
}

func isCode(err error, code int) bool {
	var no *message.ResponseError
	return errors.As(err, &no) && no.Code == code
}
