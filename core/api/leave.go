package api

import (
	"context"
	"sync"

	"github.com/protofly/protofly/core/api/internal/handover"
	"github.com/protofly/protofly/sdk/message"
)

// leave ends the registration because the application asked for it.
func (a *attachment) leave() {
	app := a.app
	moment, cancel := context.WithTimeout(app.ctx, drainTime)
	defer cancel()
	l := app.lock()
	l.wake()                                                       // who waits for credit gives up: a is leaving
	l = l.await(moment, func() bool { return !a.given.Returns() }) // what is under way is returned, or taken
	_, here := app.attached[a.ref]
	delete(app.attached, a.ref)
	a.gone = true
	end := Attachment.Close
	if a.release {
		end = Attachment.Release
	}
	left := a.given.End()
	l.wake()
	l.unlock()
	forsake(left)
	if !here {
		return
	}
	var closed sync.WaitGroup
	var err error
	app.shared.ending(a.inner, &closed, func(ctx context.Context) error {
		err = end(a.inner, ctx)
		return err
	})
	closed.Wait()
	code, reason := message.CodeOK, "as asked"
	l = app.lock()
	defer l.unlock()
	if err != nil && a.release { // else it has ended all the same, and the log says what is left
		code, reason = response(err)
	}
	f := endedFrame(a.ref, code, reason)
	f.GetEnded().Released = a.release && err == nil
	_ = l.say(f)
}

// forsake tells the senders of what an application was handed that it is in doubt whether it was taken.
func forsake(left []handover.Message) {
	for _, h := range left {
		if h.Receipt.By != nil {
			h.Receipt.Failed(h.M, doubtError(h.M.To))
		}
	}
}
