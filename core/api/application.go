package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/sdk/hyperty"
	wire "github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
)

// application is one stream.
type application struct {
	server *Server
	stream grpc.BidiStreamingServer[wire.ApplicationBatch, wire.RuntimeBatch]
	ctx    context.Context // ends with the stream
	work   sync.WaitGroup  // everything that runs for it
	kick   chan struct{}   // the writer has something to do

	mu       sync.Mutex
	ended    bool
	attached map[uint32]*attachment
	control  []*wire.RuntimeFrame
	outcomes []*wire.RuntimeFrame // at most hyperty.MaxTracked for each hyperty
	owing    []*attachment        // that owe the application credit
	out      []outgoing
	outBytes int
	changed  chan struct{} // closed and replaced when there is room or credit, for those who wait
	waiters  int
}

type outgoing struct {
	ref   uint32
	bytes []byte
}

// Attach is the RPC: one application, from Hello to its end.
func (s *Server) Attach(stream grpc.BidiStreamingServer[wire.ApplicationBatch, wire.RuntimeBatch]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if len(first.Frames) == 0 || first.Frames[0].GetHello() == nil {
		return status.Error(codes.InvalidArgument, "an application begins with Hello")
	}
	if p := first.Frames[0].GetHello().Protocol; p < wire.Protocol {
		return status.Errorf(codes.FailedPrecondition,
			"the application speaks version %d of the application API, this runtime version %d: build it against a newer sdk", p, wire.Protocol)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	app := &application{
		server: s, stream: stream, ctx: ctx, kick: make(chan struct{}, 1),
		attached: map[uint32]*attachment{}, changed: make(chan struct{}),
	}
	app.control = append(app.control, &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Welcome{Welcome: &wire.Welcome{
		Protocol: wire.Protocol, Runtime: string(s.o.Backend.URL()), Version: s.o.Version}}})
	app.poke()
	app.work.Go(app.write)
	err = app.frames(first.Frames[1:])
	for err == nil {
		var batch *wire.ApplicationBatch
		if batch, err = stream.Recv(); err == nil {
			err = app.frames(batch.Frames)
		}
	}
	cancel()
	app.end()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if s.ctx.Err() == nil && stream.Context().Err() == nil {
		s.log.Warn("application's stream ended", "error", err)
	}
	return err
}

// end unregisters everything and waits until nothing runs for the application.
func (app *application) end() {
	app.mu.Lock()
	app.ended = true
	var left []handed
	for _, a := range app.attached {
		a.gone = true
		left = append(left, a.forsaken()...)
		if a.inner != nil { // else its begin sees that the stream has ended
			app.server.closing(a.inner, &app.work)
		}
	}
	app.attached = nil
	app.wake()
	app.mu.Unlock()
	forsake(left)
	app.work.Wait()
}

// frames takes what an application said. An error ends its stream.
func (app *application) frames(frames []*wire.ApplicationFrame) error {
	for _, f := range frames {
		var err error
		switch f := f.Frame.(type) {
		case *wire.ApplicationFrame_Post:
			err = app.post(f.Post)
		case *wire.ApplicationFrame_Credit:
			app.credit(f.Credit)
		case *wire.ApplicationFrame_Register:
			err = app.register(f.Register)
		case *wire.ApplicationFrame_Unregister:
			app.unregister(f.Unregister.Ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (app *application) register(f *wire.Register) error {
	r := hyperty.Registration{Name: f.Name, User: message.URL(f.User), Descriptor: message.URL(f.Descriptor_),
		Resources: f.Resources, DataSchemes: f.DataSchemes}
	app.mu.Lock()
	defer app.mu.Unlock()
	_, taken := app.attached[f.Ref]
	switch err := r.Check(); {
	case taken || f.Ref == 0:
		return status.Errorf(codes.InvalidArgument, "register: the reference %d is not a new one", f.Ref)
	case err != nil:
		return app.say(endedFrame(f.Ref, message.CodeBadRequest, err.Error()))
	case len(app.attached) >= maxHyperties:
		return app.say(endedFrame(f.Ref, message.CodeTooMany,
			fmt.Sprintf("this application has %d hyperties, the most that are allowed", maxHyperties)))
	}
	a := &attachment{app: app, ref: f.Ref, name: f.Name, credit: wire.Window}
	app.attached[f.Ref] = a
	app.work.Go(func() { a.begin(r) })
	return nil
}

func (app *application) unregister(ref uint32) {
	app.mu.Lock()
	defer app.mu.Unlock()
	a := app.attached[ref]
	if a == nil || a.leaving {
		return
	}
	a.leaving = true
	a.start() // after what has been posted
}

func (app *application) credit(f *wire.Credit) {
	app.mu.Lock()
	var settled []handed
	if a := app.attached[f.Ref]; a != nil {
		a.credit = min(a.credit+int(min(f.Units, wire.Window)), wire.Window)
		settled = a.taken(int(min(f.Units, wire.Window)), int(min(f.Responses, 1<<20)))
		app.wake()
	}
	app.mu.Unlock()
	for _, h := range settled {
		h.r.Taken()
	}
}

func (app *application) post(f *wire.Carry) error {
	m, err := message.ParseBinary(f.Message)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "post: %v", err)
	}
	cost := wire.Cost(len(f.Message))
	app.mu.Lock()
	defer app.mu.Unlock()
	a := app.attached[f.Ref]
	if a == nil || a.leaving { // the runtime has ended it, and the application does not know yet
		return nil
	}
	if a.held >= wire.Window {
		return status.Errorf(codes.ResourceExhausted, "post: more than the window of %d units for %s allows", wire.Window, a.name)
	}
	if f.Track {
		if a.watched >= hyperty.MaxTracked {
			return status.Errorf(codes.ResourceExhausted, "post: more than %d messages of %s are tracked", hyperty.MaxTracked, a.name)
		}
		a.watched++
	}
	a.held += cost
	a.count++
	a.posts = append(a.posts, posted{m, cost, a.count, f.Track})
	a.start()
	return nil
}

// say queues a frame that is no message. mu is held.
func (app *application) say(f *wire.RuntimeFrame) error {
	if app.ended {
		return nil
	}
	if len(app.control) >= maxControl {
		return status.Error(codes.ResourceExhausted, "the application asks and does not read the answers")
	}
	app.control = append(app.control, f)
	app.poke()
	return nil
}

func (app *application) poke() {
	select {
	case app.kick <- struct{}{}:
	default:
	}
}

// wake lets everybody look again who waits for room or credit. mu is held.
func (app *application) wake() {
	if app.waiters > 0 {
		close(app.changed)
		app.changed = make(chan struct{})
	}
}

// write sends whatever is queued, together, and never waits for more.
func (app *application) write() {
	for {
		select {
		case <-app.kick:
		case <-app.ctx.Done():
			return
		}
		for {
			frames := app.collect()
			if len(frames) == 0 {
				break
			}
			if err := app.stream.Send(&wire.RuntimeBatch{Frames: frames}); err != nil {
				return // the reader learns why
			}
		}
	}
}

// collect takes what goes out next. Credit goes last: behind the refusals of the messages that it is for.
func (app *application) collect() []*wire.RuntimeFrame {
	app.mu.Lock()
	defer app.mu.Unlock()
	frames := append(app.control, app.outcomes...)
	app.control, app.outcomes = nil, nil
	n, size := 0, 0
	for n < len(app.out) && (n == 0 || size+len(app.out[n].bytes) <= batchBytes) {
		o := app.out[n]
		frames = append(frames, &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Deliver{
			Deliver: &wire.Carry{Ref: o.ref, Message: o.bytes}}})
		size += len(o.bytes)
		n++
	}
	if app.out = app.out[n:]; len(app.out) == 0 {
		app.out = nil
	}
	for _, a := range app.owing {
		credit := &wire.Credit{Ref: a.ref}
		for _, s := range a.done {
			credit.Posts = append(credit.Posts, s.first, s.n)
		}
		a.done, a.owed = a.done[:0], 0
		frames = append(frames, &wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Credit{Credit: credit}})
	}
	app.owing = nil
	app.outBytes -= size
	if n > 0 {
		app.wake()
	}
	return frames
}
