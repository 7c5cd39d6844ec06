package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/protofly/protofly/core/api/internal/handover"
	"github.com/protofly/protofly/core/api/internal/window"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// attachment is one hyperty of an application. Its fields are guarded by the application's mu.
type attachment struct {
	app  *application
	ref  uint32
	name string

	inner   Attachment // nil until it is registered
	gone    bool       // nothing is delivered any more
	leaving bool       // the application wants it to end

	posts  work.Lane[posted]               // worked off by a goroutine, or the reader; held until inner is there
	behind work.Lanes[destination, posted] // posts to receivers that are behind: each has a goroutine that waits for it
	window window.Window                   // what it has posted
	given  handover.Handover               // what it is given
}

type posted struct {
	m      message.Message
	cost   int
	number uint64
	track  bool
	err    error // it was refused already
}

// destination is what is held up together where a receiver is behind.
type destination struct {
	url      message.URL
	response bool
}

// maxBehind is how many receivers may be behind without holding up what a hyperty posts to others.
const maxBehind = 64

// newAttachment is a hyperty that has not been registered yet: what it posts is held.
func newAttachment(app *application, ref uint32, name string) *attachment {
	a := &attachment{app: app, ref: ref, name: name, given: handover.New()}
	a.posts.Memory = &app.server.posts
	a.posts.Hold()
	// What waits is bounded by the window.
	a.behind.Limits = work.Limits{Keys: maxBehind, Items: wire.Window, Bytes: math.MaxInt, AllBytes: math.MaxInt, Overhead: 1}
	return a
}

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
	if a.posts.Open() {
		a.app.work.Go(a.run)
	}
	a.leaveWhenDone()
}

// attach registers at the backend. A name whose registration is being ended is waited for.
func (s *Server) attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (Attachment, error) {
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

// closing ends a registration in a goroutine of wg.
func (s *Server) closing(inner Attachment, wg *sync.WaitGroup) {
	ended := make(chan struct{})
	name := strings.TrimPrefix(inner.URL().Path(), "/")
	s.mu.Lock()
	s.ending[name] = ended
	s.mu.Unlock()
	wg.Go(func() {
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

// leave ends the registration because the application asked for it.
func (a *attachment) leave() {
	app := a.app
	app.mu.Lock()
	_, here := app.attached[a.ref]
	delete(app.attached, a.ref)
	a.gone = true
	left := a.given.End()
	app.wake()
	app.mu.Unlock()
	forsake(left)
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
	return &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Ended{Ended: &wire.Ended{Ref: ref, Code: uint32(code), Reason: strings.ToValidUTF8(reason, "?")}}}
}
