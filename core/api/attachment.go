package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/protofly/protofly/sdk/hyperty"
	wire "github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
)

// attachment is one hyperty of an application. Its fields are guarded by the application's mu.
type attachment struct {
	app  *application
	ref  uint32
	name string

	inner   hyperty.Attachment // nil until it is registered
	gone    bool               // nothing is delivered any more
	leaving bool               // the application wants it to end
	posts   []posted
	held    int  // units that posts takes, and what is being posted
	owed    int  // units that the application is to be given back
	running bool // a goroutine works posts off
	credit  int  // units that may be delivered
}

type posted struct {
	m    message.Message
	cost int
}

// creditAt is after how many units the application is told, at the latest.
const creditAt = 64

// begin registers the hyperty, after the end of an earlier registration of the same name.
func (a *attachment) begin(r hyperty.Registration) {
	app := a.app
	inner, err := app.server.attach(app.ctx, r, a.deliver)
	app.mu.Lock()
	defer app.mu.Unlock()
	if err != nil {
		code, reason := response(err)
		delete(app.attached, a.ref)
		_ = app.say(endedFrame(a.ref, code, reason))
		return
	}
	a.inner = inner
	if app.ended { // the stream has ended meanwhile, and end did not see inner
		app.server.closing(inner, &app.work)
		return
	}
	_ = app.say(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Registered{Registered: &wire.Registered{Ref: a.ref, Url: string(inner.URL())}}})
	a.start()
}

// attach registers at the backend. A name whose registration is being ended is waited for.
func (s *Server) attach(ctx context.Context, r hyperty.Registration, deliver message.Handler) (hyperty.Attachment, error) {
	for r.Name != "" {
		s.mu.Lock()
		ended := s.ending[r.Name]
		s.mu.Unlock()
		if ended == nil {
			break
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.o.Backend.Attach(ctx, r, deliver)
}

// closing ends a registration in a goroutine of work.
func (s *Server) closing(inner hyperty.Attachment, work *sync.WaitGroup) {
	ended := make(chan struct{})
	name := strings.TrimPrefix(inner.URL().Path(), "/")
	s.mu.Lock()
	s.ending[name] = ended
	s.mu.Unlock()
	work.Go(func() {
		ctx, cancel := context.WithTimeout(s.grace, closeTime)
		defer cancel()
		if err := inner.Close(ctx); err != nil {
			s.log.Warn("hyperty not unregistered", "url", inner.URL(), "error", err)
		}
		s.mu.Lock()
		if s.ending[name] == ended {
			delete(s.ending, name)
		}
		s.mu.Unlock()
		close(ended)
	})
}

// start works off what was posted. mu is held.
func (a *attachment) start() {
	if !a.running && a.inner != nil && !a.app.ended && (len(a.posts) > 0 || a.leaving) {
		a.running = true
		a.app.work.Go(a.run)
	}
}

// run posts what is queued, in order, and ends when nothing is left.
func (a *attachment) run() {
	app := a.app
	for {
		app.mu.Lock()
		batch := a.posts
		a.posts = nil
		if len(batch) == 0 || app.ended {
			a.running = false
			leave := a.leaving && !app.ended
			app.mu.Unlock()
			if leave {
				a.leave()
			}
			return
		}
		app.mu.Unlock()
		owed := 0
		for n, p := range batch {
			if err := a.inner.Post(app.ctx, p.m); err != nil {
				a.refuse(p.m, err)
			}
			if app.ctx.Err() != nil {
				break // not confirmed: in doubt
			}
			if owed += p.cost; owed >= creditAt || n == len(batch)-1 {
				a.confirm(owed)
				owed = 0
			}
		}
	}
}

// confirm gives the application credit for what has been worked off.
func (a *attachment) confirm(units int) {
	app := a.app
	app.mu.Lock()
	defer app.mu.Unlock()
	a.held -= units
	if a.owed == 0 {
		app.owing = append(app.owing, a)
	}
	a.owed += units
	app.poke()
}

// leave ends the registration because the application asked for it.
func (a *attachment) leave() {
	app := a.app
	app.mu.Lock()
	_, here := app.attached[a.ref]
	delete(app.attached, a.ref)
	a.gone = true
	app.wake()
	app.mu.Unlock()
	if !here {
		return
	}
	var closed sync.WaitGroup
	app.server.closing(a.inner, &closed)
	closed.Wait()
	app.mu.Lock()
	defer app.mu.Unlock()
	_ = app.say(endedFrame(a.ref, message.CodeOK, "as asked"))
}

// refuse tells the application that the runtime did not take m.
func (a *attachment) refuse(m message.Message, err error) {
	if m.Type == message.Response || a.app.ctx.Err() != nil {
		return
	}
	code, reason := response(err)
	a.deliver(a.app.ctx, m.Refuse(code, "%s", reason))
}

// deliver takes a message for the application; it is the handler that the backend calls. It waits for credit, and for
// room where the application does not read.
func (a *attachment) deliver(ctx context.Context, m message.Message) {
	app := a.app
	bytes := m.AppendBinary(make([]byte, 0, 64+len(m.From)+len(m.To)+len(m.Source)+len(m.Body)))
	app.mu.Lock()
	defer app.mu.Unlock()
	for {
		free := m.Type == message.Response
		if app.ended || a.gone {
			return
		}
		if app.outBytes < maxOutgoing && (free || a.credit > 0) {
			if !free {
				a.credit -= wire.Cost(len(bytes))
			}
			app.out = append(app.out, outgoing{a.ref, bytes})
			app.outBytes += len(bytes)
			app.poke()
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
		if ctx.Err() != nil || app.ctx.Err() != nil {
			return
		}
	}
}

// response is the code and the reason that an error becomes.
func response(err error) (int, string) {
	var known *message.ResponseError
	var url *message.URLError
	switch {
	case errors.As(err, &known):
		return known.Code, known.Description
	case errors.Is(err, message.ErrTooLarge):
		return message.CodeTooLarge, err.Error()
	case errors.Is(err, message.ErrMalformed), errors.As(err, &url):
		return message.CodeBadRequest, err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return message.CodeUnavailable, fmt.Sprintf("the runtime did not take it in time: %v", err)
	}
	return message.CodeError, err.Error()
}

func endedFrame(ref uint32, code int, reason string) *wire.RuntimeFrame {
	return &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Ended{Ended: &wire.Ended{Ref: ref, Code: uint32(code), Reason: reason}}}
}
