package api

import (
	"context"
	"fmt"

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
		free := m.Type == message.Response
		if app.out.Size() < maxOutgoing && (free || a.credit > 0) {
			h := handed{r: r, cost: wire.Cost(app.out.Message(a.ref, false, &m))}
			if r.By != nil {
				h.m = message.Message{ID: m.ID, Type: m.Type, From: m.From, To: m.To}
			}
			if free {
				a.answered.push(h)
			} else {
				a.credit -= h.cost
				a.taking.push(h)
			}
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

// taken takes the application's word of what it has taken, and adds to settled what somebody asks about. mu is held; the
// receipts are to be settled without it.
func (a *attachment) taken(settled []handed, units, responses int) []handed {
	for a.units += units; a.taking.len() > 0 && a.units >= a.taking.first().cost; {
		h := a.taking.pop()
		if a.units -= h.cost; h.r.By != nil {
			settled = append(settled, h)
		}
	}
	if a.taking.len() == 0 {
		a.units = 0
	}
	for ; responses > 0 && a.answered.len() > 0; responses-- {
		if h := a.answered.pop(); h.r.By != nil {
			settled = append(settled, h)
		}
	}
	return settled
}

// forsaken takes what the application was handed and has not said to have taken. mu is held; the senders are to be told
// without it.
func (a *attachment) forsaken() []handed {
	return append(a.taking.takeAll(), a.answered.takeAll()...)
}

// forsake tells the senders of what an application was handed that it is in doubt whether it was taken.
func forsake(left []handed) {
	for _, h := range left {
		if h.r.By != nil {
			h.r.Failed(h.m, &message.ResponseError{Code: message.CodeUnavailable, From: h.m.To,
				Description: fmt.Sprintf("in doubt whether it was delivered: %s has gone", h.m.To)})
		}
	}
}

func goneError(who message.URL) error {
	return &message.ResponseError{Code: message.CodeNotFound, From: who, Description: fmt.Sprintf("%s has gone; it did not take the message", who)}
}
