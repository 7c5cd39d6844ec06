package hyperty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// connection is one stream to the runtime, from its Welcome to its end.
type connection struct {
	client  *Client
	conn    net.Conn
	reader  *apiwire.Reader
	credit  apiwire.Credit  // that the reader has read last
	ctx     context.Context // ends with the stream
	cancel  context.CancelFunc
	runtime message.URL
	version string
	kick    chan struct{} // the writer has something to do
	late    *time.Timer   // the writer has something to do in a while

	// Guarded by client.mu.
	epoch     uint64
	control   apiwire.Queue // records that are no messages
	dirty     []*attached   // whose queue is not empty
	owing     []*attached   // that have taken messages or responses of which the runtime does not know
	hesitates bool          // late is running
}

// hesitation is how long the runtime may not know of responses that were taken; they go with something else.
const hesitation = time.Millisecond

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

// run keeps the client connected until it is closed.
func (c *Client) run(conn *connection) {
	for conn != nil {
		err := conn.serve()
		c.down(err)
		conn = c.reconnect()
		if conn != nil {
			c.up(conn)
		}
	}
}

// reconnect tries until there is a connection or the client is closed; then it returns nil.
func (c *Client) reconnect() *connection {
	began, expired := time.Now(), false
	pauses := backoff.Backoff{Min: 20 * time.Millisecond, Max: time.Second}
	for pauses.Wait(c.ctx) {
		conn, err := c.connect(c.ctx)
		if err == nil {
			return conn
		}
		if !expired && time.Since(began) > c.o.Wait {
			expired = true
			c.o.Log.Warn("the runtime does not come back; what waited for it is refused", "error", err)
			c.expire()
		}
	}
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
			if conn.onlyOwes() { // the handler of what was taken may be about to answer: then both go together
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

func (conn *connection) onlyOwes() bool {
	conn.client.mu.Lock()
	defer conn.client.mu.Unlock()
	return conn.control.Size() == 0 && len(conn.dirty) == 0
}

// owe notes that a has taken something and that the runtime is to be told. mu is held.
func (conn *connection) owe(a *attached) {
	if !a.owing {
		a.owing = true
		conn.owing = append(conn.owing, a)
	}
	if a.taken >= creditAt {
		conn.poke()
	}
}

// settle is called when everything that was read is handled: the runtime learns what was taken. That only responses were
// waits a little for something that it can go with.
func (conn *connection) settle() {
	conn.client.mu.Lock()
	defer conn.client.mu.Unlock()
	if len(conn.owing) == 0 {
		return
	}
	if slices.ContainsFunc(conn.owing, func(a *attached) bool { return a.taken > 0 }) {
		conn.poke()
	} else if !conn.hesitates {
		conn.hesitates = true
		conn.late.Reset(hesitation)
	}
}

// collect takes what goes out next: first what is short, then messages.
func (conn *connection) collect(out *apiwire.Queue) {
	c := conn.client
	c.mu.Lock()
	defer c.mu.Unlock()
	out.Move(&conn.control)
	for _, a := range conn.owing {
		if a.owing { // else it was registered again
			credit := apiwire.Credit{Ref: a.ref, Units: uint32(a.taken), Responses: uint32(a.heard)}
			out.Credit(&credit)
			a.taken, a.heard, a.owing = 0, 0, false
		}
	}
	conn.owing, conn.hesitates = conn.owing[:0], false
	for _, a := range conn.dirty {
		if !a.dirty {
			continue
		}
		a.dirty = false
		for _, r := range a.queue {
			a.posts++
			a.sent.add(a.posts, r)
			if r.track {
				if t := a.tracked[r.id.Key()]; t != nil {
					t.out = true
				}
			}
		}
		out.Move(&a.records)
		a.queue = a.queue[:0]
	}
	clear(conn.dirty)
	conn.dirty = conn.dirty[:0]
}

// send queues a control frame. mu is held.
func (conn *connection) send(f *apiwire.ApplicationFrame) {
	conn.control.Control(f)
	conn.poke()
}

func (conn *connection) poke() {
	select {
	case conn.kick <- struct{}{}:
	default:
	}
}
