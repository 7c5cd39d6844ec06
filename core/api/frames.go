package api

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// frame takes a frame of an application. An error ends its stream: only where it does not read what it is told.
func (app *application) frame(data []byte) error {
	var f wire.ApplicationFrame
	if err := proto.Unmarshal(data, &f); err != nil {
		return app.complain("a frame that is none: %v", err)
	}
	switch f := f.Frame.(type) {
	case *wire.ApplicationFrame_Register:
		return app.register(f.Register)
	case *wire.ApplicationFrame_Unregister:
		app.unregister(f.Unregister)
	}
	return nil
}

// complain tells the application of a record that means nothing: it is about no hyperty, so its reference is 0.
func (app *application) complain(format string, args ...any) error {
	l := app.lock()
	defer l.unlock()
	return l.complain(format, args...)
}

func (app locked) complain(format string, args ...any) error {
	return app.say(endedFrame(0, message.CodeBadRequest, fmt.Sprintf(format, args...)))
}

func (app *application) register(f *wire.Register) error {
	r := hyperty.Registration{Name: f.Name, User: message.URL(f.User), Descriptor: message.URL(f.Descriptor_),
		Resources: f.Resources, DataSchemes: f.DataSchemes, Ephemeral: f.Ephemeral, Resumed: f.Resumed}
	l := app.lock()
	defer l.unlock()
	_, taken := app.attached[f.Ref]
	switch err := r.Check(); {
	case taken || f.Ref == 0:
		return l.complain("register: the reference %d is not a new one", f.Ref)
	case err != nil:
		return l.say(endedFrame(f.Ref, message.CodeBadRequest, err.Error()))
	case len(app.attached) >= maxHyperties:
		return l.say(endedFrame(f.Ref, message.CodeTooMany,
			fmt.Sprintf("this application has %d hyperties, the most that are allowed", maxHyperties)))
	}
	a := newAttachment(app, f.Ref, f.Name)
	app.attached[f.Ref] = a
	app.work.Go(func() { a.begin(r) })
	return nil
}

func (app *application) unregister(f *wire.Unregister) {
	l := app.lock()
	defer l.unlock()
	a := app.attached[f.Ref]
	if a == nil || a.leaving {
		return
	}
	a.leaving, a.release = true, f.Release
	l.leaveWhenDone(a) // after what has been posted
}

func (app *application) credit(data []byte) error {
	f := &app.credits
	if err := f.Parse(data); err != nil {
		return app.complain("%v", err)
	}
	l := app.lock()
	if a := app.attached[f.Ref]; a != nil {
		app.settled = a.given.Credit(app.settled[:0], f)
		l.wake()
	}
	l.unlock()
	for i, h := range app.settled {
		h.Receipt.Taken()
		app.settled[i] = handover.Message{}
	}
	app.settled = app.settled[:0]
	return nil
}

// returned takes back messages that the application was handed and does not take: their senders are told.
func (app *application) returned(data []byte) error {
	var f wire.Returned
	if err := f.Parse(data); err != nil {
		return err
	}
	var list []handover.Message
	l := app.lock()
	if a := app.attached[f.Ref]; a != nil {
		list = a.given.Settled(nil, f.Posts)
	}
	l.unlock()
	for _, h := range list {
		h.Receipt.Failed(h.M, returnedError(f.Code, h.M.To))
	}
	return nil
}

// begin registers the hyperty, after the end of an earlier registration of the same name.
func (a *attachment) begin(r hyperty.Registration) {
	app := a.app
	inner, err := app.shared.attach(app.ctx, r, a.deliver)
	l := app.lock()
	defer l.unlock()
	if err != nil {
		code, reason := response(err)
		delete(app.attached, a.ref)
		_ = l.say(endedFrame(a.ref, code, reason))
		return
	}
	a.inner = inner
	if app.ended { // the stream has ended meanwhile, and end did not see inner
		inner.Lost()
		app.shared.closing(inner, &app.work)
		return
	}
	_ = l.say(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Registered{Registered: &wire.Registered{Ref: a.ref, Url: string(inner.URL())}}})
	if a.posts.Open() {
		a.app.work.Go(a.run)
	}
	l.leaveWhenDone(a)
}
