package api

import (
	"fmt"
	"sync"

	"github.com/protofly/protofly/core/api/internal/handover"
	"github.com/protofly/protofly/sdk/message"
)

// leave ends the registration because the application asked for it.
func (a *attachment) leave() {
	app := a.app
	l := app.lock()
	_, here := app.attached[a.ref]
	delete(app.attached, a.ref)
	a.gone = true
	left := a.given.End()
	l.wake()
	l.unlock()
	forsake(left)
	if !here {
		return
	}
	var closed sync.WaitGroup
	app.shared.closing(a.inner, &closed)
	closed.Wait()
	l = app.lock()
	defer l.unlock()
	_ = l.say(endedFrame(a.ref, message.CodeOK, "as asked"))
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
