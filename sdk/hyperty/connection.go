package hyperty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// handshakeTime is how long the runtime may take to welcome us.
const handshakeTime = 5 * time.Second

// connect opens a stream and exchanges Hello and Welcome.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	ctx, stop := context.WithTimeout(ctx, handshakeTime)
	defer stop()
	raw, err := apiwire.Open(ctx, c.o.Socket)
	if err != nil {
		return nil, err
	}
	conn := &connection{client: c, conn: raw, reader: apiwire.NewReader(raw), kick: make(chan struct{}, 1)}
	// The stream outlives ctx; until it is welcome, ctx ends it.
	release := context.AfterFunc(ctx, func() { _ = raw.Close() })
	err = conn.hello()
	if !release() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("it does not answer: %w", ctx.Err())
		}
		return nil, err
	}
	conn.late = time.NewTimer(hesitation)
	conn.ctx, conn.cancel = context.WithCancel(c.ctx)
	return conn, nil
}

func (conn *connection) hello() error {
	hello := &apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Hello{Hello: &apiwire.Hello{Protocol: apiwire.Protocol}}}
	if _, err := conn.conn.Write(apiwire.AppendControl([]byte(apiwire.Preamble), hello)); err != nil {
		return err
	}
	if known, err := conn.reader.Preamble(); err != nil {
		return fmt.Errorf("it has ended the connection without a welcome: it is older than this library, which speaks version %d of the "+
			"application API, or serves too many applications already: %w", apiwire.Protocol, err)
	} else if !known {
		return fmt.Errorf("it is older than this library, which speaks version %d of the application API, or is no runtime: run a newer one", apiwire.Protocol)
	}
	rec, err := conn.reader.Next()
	if err != nil {
		return fmt.Errorf("its welcome: %w", err)
	}
	var f apiwire.RuntimeFrame
	if rec.Kind != apiwire.Control || proto.Unmarshal(rec.Data, &f) != nil {
		return errors.New("it did not begin with a welcome: it is no runtime of this version")
	}
	if bye := f.GetFarewell(); bye != nil {
		return errors.New(bye.Reason)
	}
	w := f.GetWelcome()
	if w == nil {
		return errors.New("it did not begin with a welcome: it is no runtime of this version")
	}
	if w.Protocol != apiwire.Protocol {
		return fmt.Errorf("it speaks version %d of the application API, this library version %d", w.Protocol, apiwire.Protocol)
	}
	if conn.runtime, err = message.ParseURL(w.Runtime); err != nil {
		return fmt.Errorf("its welcome: %w", err)
	}
	conn.version = w.Version
	return nil
}

// serve reads and writes until the stream breaks.
func (conn *connection) serve() error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		conn.write()
	}()
	stop := context.AfterFunc(conn.ctx, func() { _ = conn.conn.Close() })
	err := conn.read()
	conn.cancel()
	stop()
	_ = conn.conn.Close()
	<-written
	return err
}

func (conn *connection) read() error {
	for {
		rec, err := conn.reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the runtime has ended")
		case err != nil:
			return err
		}
		switch rec.Kind {
		case apiwire.Carried:
			err = conn.deliver(rec.Ref, rec.Data)
		case apiwire.Credits:
			err = conn.confirmed(rec.Data)
		case apiwire.Control:
			err = conn.frame(rec.Data)
		}
		if err != nil {
			return err
		}
		if !conn.reader.More() {
			conn.settle()
		}
	}
}

// write sends whatever is queued, together, and never waits for more.
func (conn *connection) write() {
	defer conn.late.Stop()
	var out apiwire.Queue
	for {
		select {
		case <-conn.kick:
			if conn.onlyOwes() { // a handler may be about to answer: then its answer and the credit go together
				runtime.Gosched()
			}
		case <-conn.late.C:
		case <-conn.ctx.Done():
			return
		}
		for {
			if conn.collect(&out); out.Size() == 0 {
				break
			}
			if out.Write(conn.conn) != nil {
				_ = conn.conn.Close() // the reader learns why
				return
			}
		}
	}
}
