package hyperty

import (
	"context"
	"errors"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// progressBus is a bus that hands on provisional responses.
type progressBus interface {
	RequestProgress(ctx context.Context, m message.Message, progress func(message.Message)) (message.Message, error)
}

// Progress answers the message provisionally, with code 183 and a value, which may be nil: the final answer follows. Whoever waits for
// it waits its whole time again from now on, and sees the value where it asked by [Hyperty.RequestProgress].
func (r Received) Progress(ctx context.Context, value any) error {
	return r.respond(ctx, message.CodeProgress, value)
}

// RequestProgress is [Hyperty.Request], and calls progress for provisional answers (code 1xx), one at a time and in order, before it
// returns. Of a flood of them some may be left out while progress runs. Each starts the time anew in which an answer has to come.
func (h *Hyperty) RequestProgress(ctx context.Context, to message.URL, t message.Type, body any, progress func(message.Result)) (message.Result, error) {
	bus, ok := h.bus.(progressBus)
	if !ok {
		return message.Result{}, errors.New("request: this bus does not hand on provisional answers")
	}
	return h.request(ctx, to, t, body, func(ctx context.Context, m message.Message) (message.Message, error) {
		return bus.RequestProgress(ctx, m, func(m message.Message) {
			if r, err := m.Result(); err == nil {
				progress(r)
			}
		})
	})
}

// request has ask ask, and reads the answer.
func (h *Hyperty) request(ctx context.Context, to message.URL, t message.Type, body any,
	ask func(context.Context, message.Message) (message.Message, error)) (message.Result, error) {
	raw, err := encodeBody(body)
	if err != nil {
		return message.Result{}, fmt.Errorf("%s to %s: %w", t, to, err)
	}
	if to, err = h.mayPost(t, to); err != nil {
		return message.Result{}, err
	}
	answer, err := ask(ctx, message.Message{Type: t, From: h.url, To: to, Body: raw})
	if err != nil {
		return message.Result{}, err
	}
	result, err := answer.Result()
	if err != nil {
		return message.Result{}, err
	}
	if _, err := answer.OK(); err != nil {
		return result, err
	}
	return result, nil
}

// Request posts a message and waits for its response; see [message.Bus].
func (a *attached) Request(ctx context.Context, m message.Message) (message.Message, error) {
	return a.RequestProgress(ctx, m, nil)
}

// RequestProgress is Request, with the provisional responses given to progress, where that is not nil.
func (a *attached) RequestProgress(ctx context.Context, m message.Message, progress func(message.Message)) (message.Message, error) {
	a.bus.NumberRequest(&m)
	key := m.ID.Key()
	a.client.mu.Lock()
	if _, taken := a.waiting[key]; taken {
		a.client.mu.Unlock()
		return message.Message{}, fmt.Errorf("request %s to %s: its id is still waiting for a response: use another, or none", m.ID, m.To)
	}
	a.waiting[key] = &request{receipt: receipt{id: m.ID, kind: m.Type, from: m.From, to: m.To}}
	a.client.mu.Unlock()
	defer func() {
		a.client.mu.Lock()
		delete(a.waiting, key)
		a.client.mu.Unlock()
	}()
	return a.bus.RequestProgress(ctx, m, progress)
}
