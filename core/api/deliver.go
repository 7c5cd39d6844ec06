package api

import (
	"context"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// deliver takes a message for the application; it is the handler that the backend calls. It waits for credit, and for
// room where the application does not read. The message is taken when the application says so: until then it is lost
// with this process.
func (a *attachment) deliver(ctx context.Context, m message.Message, r minibus.Receipt) {
	app := a.app
	l := app.lock()
	for !app.ended && !a.gone && ctx.Err() == nil && app.ctx.Err() == nil {
		response := m.Type == message.Response
		if app.out.Size() < maxOutgoing && a.given.Room(response) {
			h := handover.Message{Receipt: r, Units: wire.Cost(app.out.Message(a.ref, false, &m))}
			if r.By != nil {
				h.M = message.Message{ID: m.ID, Type: m.Type, From: m.From, To: m.To}
			}
			a.given.Handed(h, response)
			app.poke()
			l.unlock()
			return
		}
		changed := app.changed
		app.waiters++
		l.unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-app.ctx.Done():
		}
		l = app.lock()
		app.waiters--
	}
	l.unlock()
	r.Failed(m, goneError(m.To))
}

// refuse tells the application that the runtime did not take m.
func (a *attachment) refuse(m message.Message, err error) {
	if m.Type == message.Response || a.app.ctx.Err() != nil {
		return
	}
	code, reason := response(err)
	a.deliver(a.app.ctx, m.Undelivered(&message.ResponseError{Code: code, Description: reason}), minibus.Receipt{})
}
