package hyperty

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/protofly/protofly/internal/plainjson"
	"github.com/protofly/protofly/sdk/message"
)

// Send sends body to another hyperty, as an update. It does not wait for an answer: it returns when the runtime has taken
// the message, and waits while the runtime has no room for more to that receiver. Where nobody has the address, the function
// given to [Hyperty.HandleResponses] gets a response with code 404.
//
// body is anything that encodes as JSON. A JSON object is the message's body itself, anything else its member "value";
// nil is an empty body.
func (h *Hyperty) Send(ctx context.Context, to message.URL, body any) error {
	return h.SendType(ctx, to, message.Update, body)
}

// SendType is [Hyperty.Send] with a type of the caller's choice.
func (h *Hyperty) SendType(ctx context.Context, to message.URL, t message.Type, body any) error {
	raw, err := encodeBody(body)
	if err != nil {
		return fmt.Errorf("send to %s: %w", to, err)
	}
	return h.Post(ctx, message.Message{Type: t, To: to, Body: raw})
}

// Post posts a message as it is; an empty From is the hyperty's own address. See [message.Bus].
func (h *Hyperty) Post(ctx context.Context, m message.Message) error {
	to, err := h.mayPost(m.Type, m.To)
	if err != nil {
		return err
	}
	m.To = to
	if m.From == "" {
		m.From = h.url
	}
	return h.bus.Post(ctx, m)
}

// mayPost tells whether messages may be posted to an address, and gives its normal form. An address to which messages go again and again is not checked
// each time.
func (h *Hyperty) mayPost(t message.Type, to message.URL) (message.URL, error) {
	select {
	case <-h.done:
		return "", fmt.Errorf("%s to %s: %w", t, to, h.Err())
	default:
	}
	if last := h.checked.last.Load(); last != nil && *last == to {
		return to, nil
	}
	to, err := message.ParseURL(string(to))
	if err != nil {
		return "", err
	}
	if h.checked.count.Add(1)%8 == 0 { // not each time: an application that posts to many in turn would allocate for each message
		last := to
		h.checked.last.Store(&last)
	}
	return to, nil
}

// Request sends a message of the type t and waits for the answer. Only to may answer: responses from other addresses do not
// count. Result.From is the address that has answered. body is as for [Hyperty.Send]. Where the answer's code is 300 or above,
// the error is a *message.ResponseError: 404 where nobody has the address, 408 where no answer came in time (Options.Timeout,
// 15 s by default), 504 where the receiver cannot be reached.
func (h *Hyperty) Request(ctx context.Context, to message.URL, t message.Type, body any) (message.Result, error) {
	return h.request(ctx, to, t, body, h.bus.Request)
}

// encodeBody is body as the JSON object that a message carries.
func encodeBody(body any) (json.RawMessage, error) {
	if body == nil {
		return nil, nil
	}
	raw, err := plainjson.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return raw, nil
	}
	return plainjson.Marshal(map[string]json.RawMessage{"value": raw})
}
