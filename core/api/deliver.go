package api

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// refuse tells the application that the runtime did not take m.
func (a *attachment) refuse(m message.Message, err error) {
	if m.Type == message.Response || a.app.ctx.Err() != nil {
		return
	}
	code, reason := response(err)
	a.deliver(a.app.ctx, m.Refuse(code, "%s", reason), minibus.Receipt{})
}

// deliver takes a message for the application; it is the handler that the backend calls. It waits for credit, and for
// room where the application does not read. The message is taken when the application says so: until then it is lost
// with this process.
func (a *attachment) deliver(ctx context.Context, m message.Message, r minibus.Receipt) {
	app := a.app
	app.mu.Lock()
	for !app.ended && !a.gone && ctx.Err() == nil && app.ctx.Err() == nil {
		response := m.Type == message.Response
		if app.out.Size() < maxOutgoing && a.given.Room(response) {
			h := handover.Message{Receipt: r, Units: wire.Cost(app.out.Message(a.ref, false, &m))}
			if r.By != nil {
				h.M = message.Message{ID: m.ID, Type: m.Type, From: m.From, To: m.To}
			}
			a.given.Handed(h, response)
			app.poke()
			app.mu.Unlock()
			return
		}
		changed := app.changed
		app.waiters++
		app.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-app.ctx.Done():
		}
		app.mu.Lock()
		app.waiters--
	}
	app.mu.Unlock()
	r.Failed(m, goneError(m.To))
}

// forsake tells the senders of what an application was handed that it is in doubt whether it was taken.
func forsake(left []handover.Message) {
	for _, h := range left {
		if h.Receipt.By != nil {
			h.Receipt.Failed(h.M, &message.ResponseError{Code: message.CodeUnavailable, From: h.M.To,
				Description: fmt.Sprintf("in doubt whether it was delivered: %s has gone", h.M.To)})
		}
	}
}

func goneError(who message.URL) error {
	return &message.ResponseError{Code: message.CodeNotFound, From: who, Description: fmt.Sprintf("%s has gone; it did not take the message", who)}
}
