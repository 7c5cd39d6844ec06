package api

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
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
		if (a.leaving || app.shared.draining()) && !response {
			break
		}
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
	l := a.app.lock()
	refusal, ok := l.refusal(a, m, err)
	l.unlock()
	if ok {
		a.deliver(a.app.ctx, refusal, minibus.Receipt{})
	}
}

// refusal is the response that says why a post was not taken. It goes to the hyperty itself where the post's from is not its address.
// There is none while the hyperty has no address, and for a response.
func (app locked) refusal(a *attachment, m message.Message, err error) (refusal message.Message, ok bool) {
	if m.Type == message.Response || a.inner == nil {
		return message.Message{}, false
	}
	if url := a.inner.URL(); !m.From.Within(url) {
		m.From = url
	}
	if m.To == "" { // it could not be read
		m.To = app.shared.o.Backend.URL()
	}
	code, reason := response(err)
	return m.Undelivered(&message.ResponseError{Code: code, Description: reason}), true
}

// overrun refuses a post for which the application had no window. It waits for nothing, since such posts are not bounded: an application that
// goes on and does not read is at fault.
func (app locked) overrun(a *attachment, p posted, why error) error {
	err := &message.ResponseError{Code: message.CodeTooMany, Description: fmt.Sprintf("post: %s: %v", a.name, why)}
	if refusal, ok := app.refusal(a, p.m, err); ok {
		if app.out.Size() >= maxOutgoing || !a.given.Room(true) {
			return faultf("%s, and the application does not read the refusals", err.Description)
		}
		a.given.Handed(handover.Message{Units: wire.Cost(app.out.Message(a.ref, false, &refusal))}, true)
		app.poke()
	}
	if p.track {
		if err := app.say(outcomeFrame(a.ref, p.m.ID, hyperty.Outcome{State: hyperty.Refused, Code: err.Code, Reason: err.Description})); err != nil {
			return err
		}
	}
	app.worked(a, p)
	return nil
}
