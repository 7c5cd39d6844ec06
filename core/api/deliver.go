package api

import (
	"context"
	"fmt"

	wire "github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
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
	bytes := m.AppendBinary(make([]byte, 0, 64+len(m.From)+len(m.To)+len(m.Source)+len(m.Body)))
	app.mu.Lock()
	for !app.ended && !a.gone && ctx.Err() == nil && app.ctx.Err() == nil {
		free := m.Type == message.Response
		if app.outBytes < maxOutgoing && (free || a.credit > 0) {
			h := handed{r: r, cost: wire.Cost(len(bytes))}
			if r.By != nil {
				h.m = message.Message{ID: m.ID, Type: m.Type, From: m.From, To: m.To}
			}
			if free {
				a.answered = append(a.answered, h)
			} else {
				a.credit -= h.cost
				a.taking = append(a.taking, h)
			}
			app.out = append(app.out, outgoing{a.ref, bytes})
			app.outBytes += len(bytes)
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

// taken takes the application's word of what it has taken. mu is held; the receipts are to be settled without it.
func (a *attachment) taken(units, responses int) (settled []handed) {
	a.units += units
	n := 0
	for n < len(a.taking) && a.units >= a.taking[n].cost {
		a.units -= a.taking[n].cost
		n++
	}
	if n == len(a.taking) {
		a.units = 0
	}
	settled = append(settled, a.taking[:n]...)
	if a.taking = a.taking[n:]; len(a.taking) == 0 {
		a.taking = nil
	}
	n = min(responses, len(a.answered))
	settled = append(settled, a.answered[:n]...)
	if a.answered = a.answered[n:]; len(a.answered) == 0 {
		a.answered = nil
	}
	return settled
}

// forsaken takes what the application was handed and has not said to have taken. mu is held; the senders are to be told
// without it.
func (a *attachment) forsaken() []handed {
	left := append(a.taking, a.answered...)
	a.taking, a.answered = nil, nil
	return left
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
