package api

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/core/api/internal/handover"
	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// application serves one application on its connection, of which the preamble has been read.
func (s *shared) application(conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	app := &application{
		shared: s, conn: conn, reader: wire.NewReader(conn), ctx: ctx, kick: make(chan struct{}, 1), quit: make(chan struct{}),
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
	s.note(app, true)
	defer s.note(app, false)
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
	l := app.lock()
	defer l.unlock()
	return l.say(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Welcome{Welcome: &wire.Welcome{
		Protocol: wire.Protocol, Runtime: string(app.shared.o.Backend.URL()), Version: app.shared.o.Version}}})
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
		case wire.Returns:
			err = app.returned(rec.Data)
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
	l := app.lock()
	app.control.Control(&wire.RuntimeFrame{Frame: &wire.RuntimeFrame_Farewell{
		Farewell: &wire.Farewell{Reason: strings.ToValidUTF8(err.Error(), "?")}}})
	app.last = true
	app.poke()
	l.unlock()
	_ = app.conn.SetDeadline(time.Now().Add(lingerTime))
	app.work.Go(func() { _, _ = io.Copy(io.Discard, app.conn) })
}

// end unregisters everything and waits until nothing runs for the application.
func (app *application) end() {
	l := app.lock()
	app.ended = true
	var left []handover.Message
	for _, a := range app.attached {
		a.gone = true
		left = append(left, a.given.End()...)
		if a.inner != nil { // else its begin sees that the stream has ended
			a.inner.Lost()
			app.shared.closing(a.inner, &app.work)
		}
	}
	app.attached = nil
	l.wake()
	l.unlock()
	forsake(left)
	app.work.Wait()
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
	l := app.lock()
	defer l.unlock()
	out.Move(&app.control)
	app.controls = 0
	out.Move(&app.out)
	for i, a := range app.owing {
		a.window.Owed(func(done []wire.Span) { out.Credit(&wire.Credit{Ref: a.ref, Posts: done}) })
		app.owing[i] = nil
	}
	app.owing, app.hesitates = app.owing[:0], false
	if out.Size() > 0 {
		l.wake()
	}
	return app.last
}
