package p2p

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/protofly/protofly/sdk/message"
)

// statusBody is the body of a status event (specification, "Status").
type statusBody struct {
	Value    message.Status `json:"value"`
	Resource message.URL    `json:"resource"`
	Desc     string         `json:"desc,omitempty"`
}

func (i *instance) status(value message.Status, remote message.URL, why error) message.Message {
	body := statusBody{Value: value, Resource: remote}
	if why != nil {
		body.Desc = why.Error()
	}
	i.log.Debug("status", "value", value.String(), "remote", string(remote), "desc", body.Desc)
	return message.Message{Type: message.Update, From: i.start.URL, To: i.start.URL.Join("status"), Body: message.Encode(body)}
}

// post posts a status event. An instance that is being ended posts none.
func (i *instance) post(ctx context.Context, value message.Status, remote message.URL, why error) {
	if ctx.Err() != nil {
		return
	}
	if err := i.bus.Post(ctx, i.status(value, remote, why)); err != nil && ctx.Err() == nil {
		i.log.Warn("posting a status", "status", value.String(), "remote", string(remote), "error", err)
	}
}

// askCreated posts created and waits for the registry's answer. A missing answer is consent as well; only 403 and 409
// refuse: then the error is a *message.ResponseError. keep: the live connection with that runtime is to go on until
// the new one is live.
func (i *instance) askCreated(ctx context.Context, remote message.URL) (keep bool, err error) {
	asking, cancel := context.WithTimeout(ctx, consentTime)
	defer cancel()
	r, err := i.bus.Request(asking, i.status(message.Created, remote, nil))
	var value struct {
		Keep bool `json:"keep"`
	}
	if err == nil {
		var text json.RawMessage
		if text, err = r.OK(); err == nil && len(text) > 0 && json.Unmarshal(text, &value) != nil {
			value.Keep = false // an answer of another kind consents
		}
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var refusal *message.ResponseError
	if errors.As(err, &refusal) && (refusal.Code == message.CodeConflict || refusal.Code == message.CodeForbidden) {
		return false, refusal
	}
	if err != nil {
		i.log.Warn("the registry has not answered created; going on", "remote", string(remote), "error", err)
	}
	return value.Keep, nil
}
