package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// application is one stream.
type application struct {
	server *Server
	conn   net.Conn
	reader *wire.Reader
	ctx    context.Context // ends with the stream
	work   sync.WaitGroup  // everything that runs for it, but for the writer
	kick   chan struct{}   // the writer has something to do
	late   *time.Timer     // it has something to do in a while
	quit   chan struct{}   // ends it

	// Of the reader.
	parsers map[uint32]*message.Parser // by reference
	credits wire.Credit                // that was read last
	settled []handover.Message         // by it

	mu        sync.Mutex
	ended     bool
	attached  map[uint32]*attachment
	control   wire.Queue    // records
	controls  int           // how many of them count
	owing     []*attachment // that owe the application credit
	hesitates bool          // late is running
	out       wire.Queue    // records of messages
	last      bool          // nothing follows what is in control
	changed   chan struct{} // closed and replaced when there is room or credit, for those who wait
	waiters   int
}

// fault is why the runtime ends a stream: something that the application did.
type fault struct{ reason string }

func (f *fault) Error() string { return f.reason }

func faultf(format string, args ...any) error { return &fault{fmt.Sprintf(format, args...)} }

// tooOld is why an application of an earlier version is refused.
func tooOld(protocol uint32) string {
	return fmt.Sprintf("the application speaks version %d of the application API, this runtime version %d: build it against a newer sdk", protocol, wire.Protocol)
}

// application serves one application on its connection, of which the preamble has been read.
func (s *Server) application(conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	app := &application{
		server: s, conn: conn, reader: wire.NewReader(conn), ctx: ctx, kick: make(chan struct{}, 1), quit: make(chan struct{}),
		late: time.NewTimer(hesitation), parsers: map[uint32]*message.Parser{},
		attached: map[uint32]*attachment{}, changed: make(chan struct{}),
	}
	written := make(chan struct{})
	app.control.Text(wire.Preamble)
	go func() {
		defer close(written)
		app.write()
	}()
	err := app.hello()
	if err == nil {
		err = app.read()
	}
	var broken *fault
	if errors.As(err, &broken) || errors.Is(err, wire.ErrRecord) || errors.Is(err, message.ErrMalformed) || errors.Is(err, message.ErrTooLarge) {
		s.log.Warn("application's stream ended", "error", err)
		app.farewell(err)
	} else {
		_ = conn.Close()
	}
	cancel()
	app.end()
	close(app.quit)
	<-written
}

// hello reads the application's first frame and answers it.
func (app *application) hello() error {
	_ = app.conn.SetReadDeadline(time.Now().Add(helloTime))
	rec, err := app.reader.Next()
	if err != nil {
		return err
	}
	var f wire.ApplicationFrame
	if rec.Kind != wire.Control || proto.Unmarshal(rec.Data, &f) != nil || f.GetHello() == nil {
		return faultf("an application begins with Hello")
	}
	if p := f.GetHello().Protocol; p < wire.Protocol {
		return faultf("%s", tooOld(p))
	}
	if one, ok := app.conn.(*place); ok {
		if err := one.attach(); err != nil {
			return err
		}
	}
	_ = app.conn.SetReadDeadline(time.Time{})
	app.mu.Lock()
	defer app.mu.Unlock()
	return app.say(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Welcome{Welcome: &wire.Welcome{
		Protocol: wire.Protocol, Runtime: string(app.server.o.Backend.URL()), Version: app.server.o.Version}}})
}

// read takes what the application says until it ends, or breaks the rules.
func (app *application) read() error {
	for {
		rec, err := app.reader.Next()
		if err != nil {
			return err
		}
		switch rec.Kind {
		case wire.Carried:
			err = app.post(rec)
		case wire.Credits:
			err = app.credit(rec.Data)
		case wire.Control:
			err = app.frame(rec.Data)
		}
		if err != nil {
			return err
		}
	}
}

// farewell tells the application why its stream ends, and reads on until it has gone: it may be writing.
func (app *application) farewell(err error) {
	app.mu.Lock()
	app.control.Control(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Farewell{
		Farewell: &wire.Farewell{Reason: strings.ToValidUTF8(err.Error(), "?")}}})
	app.last = true
	app.poke()
	app.mu.Unlock()
	_ = app.conn.SetDeadline(time.Now().Add(lingerTime))
	app.work.Go(func() { _, _ = io.Copy(io.Discard, app.conn) })
}

// end unregisters everything and waits until nothing runs for the application.
func (app *application) end() {
	app.mu.Lock()
	app.ended = true
	var left []handover.Message
	for _, a := range app.attached {
		a.gone = true
		left = append(left, a.given.End()...)
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

// frame takes a frame of an application. An error ends its stream.
func (app *application) frame(data []byte) error {
	var f wire.ApplicationFrame
	if err := proto.Unmarshal(data, &f); err != nil {
		return faultf("a frame that is none: %v", err)
	}
	switch f := f.Frame.(type) {
	case *wire.ApplicationFrame_Register:
		return app.register(f.Register)
	case *wire.ApplicationFrame_Unregister:
		app.unregister(f.Unregister.Ref)
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
		return faultf("register: the reference %d is not a new one", f.Ref)
	case err != nil:
		return app.say(endedFrame(f.Ref, message.CodeBadRequest, err.Error()))
	case len(app.attached) >= maxHyperties:
		return app.say(endedFrame(f.Ref, message.CodeTooMany,
			fmt.Sprintf("this application has %d hyperties, the most that are allowed", maxHyperties)))
	}
	a := newAttachment(app, f.Ref, f.Name)
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
	a.leaveWhenDone() // after what has been posted
}

func (app *application) credit(data []byte) error {
	f := &app.credits
	if err := f.Parse(data); err != nil {
		return err
	}
	app.mu.Lock()
	if a := app.attached[f.Ref]; a != nil {
		app.settled = a.given.Taken(app.settled[:0], int(min(f.Units, wire.Window)), int(min(f.Responses, 1<<20)))
		app.wake()
	}
	app.mu.Unlock()
	for i, h := range app.settled {
		h.Receipt.Taken()
		app.settled[i] = handover.Message{}
	}
	app.settled = app.settled[:0]
	return nil
}

// say queues a frame. mu is held.
func (app *application) say(f *wire.RuntimeFrame) error {
	if app.ended {
		return nil
	}
	if app.controls >= maxControl {
		return faultf("the application asks and does not read the answers")
	}
	app.controls++
	app.control.Control(f)
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
	defer app.late.Stop()
	var out wire.Queue
	for {
		select {
		case <-app.kick:
		case <-app.late.C:
		case <-app.quit:
			return
		}
		for {
			last := app.collect(&out)
			if out.Size() == 0 {
				break
			}
			if out.Write(app.conn) != nil {
				_ = app.conn.Close() // the reader learns why
				return
			}
			if last {
				if half, ok := app.conn.(interface{ CloseWrite() error }); ok {
					_ = half.CloseWrite()
				}
				return
			}
		}
	}
}

// collect takes what goes out next. Credit goes last: behind the refusals of the messages that it is for.
func (app *application) collect(out *wire.Queue) (last bool) {
	app.mu.Lock()
	defer app.mu.Unlock()
	out.Move(&app.control)
	app.controls = 0
	out.Move(&app.out)
	for i, a := range app.owing {
		a.window.Owed(func(done []wire.Span) { out.Credit(&wire.Credit{Ref: a.ref, Posts: done}) })
		app.owing[i] = nil
	}
	app.owing, app.hesitates = app.owing[:0], false
	if out.Size() > 0 {
		app.wake()
	}
	return app.last
}
