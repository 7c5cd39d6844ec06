package hyperty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
)

// connection is one stream to the runtime, from its Welcome to its end.
type connection struct {
	client  *Client
	link    *api.Link
	stream  grpc.BidiStreamingClient[api.ApplicationBatch, api.RuntimeBatch]
	cancel  context.CancelFunc
	runtime message.URL
	version string
	kick    chan struct{} // the writer has something to do

	// Guarded by client.mu.
	epoch   uint64
	control []*api.ApplicationFrame
	dirty   []*attached // whose queue is not empty
	owing   []*attached // that have taken responses
}

// batchBytes is how many bytes of messages go out together; one message may exceed it.
const batchBytes = 1 << 20

// handshakeTime is how long the runtime may take to welcome us.
const handshakeTime = 5 * time.Second

// connect opens a stream and exchanges Hello and Welcome.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	ctx, stop := context.WithTimeout(ctx, handshakeTime)
	defer stop()
	link, err := api.Dial(ctx, c.o.Socket)
	if err != nil {
		return nil, err
	}
	// The stream outlives ctx; until it is welcome, ctx ends it.
	streamCtx, cancel := context.WithCancel(c.ctx)
	release := context.AfterFunc(ctx, cancel)
	conn := &connection{client: c, link: link, cancel: cancel, kick: make(chan struct{}, 1)}
	err = conn.hello(streamCtx)
	if !release() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		_ = link.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("it does not answer: %w", ctx.Err())
		}
		return nil, errors.New(status.Convert(err).Message())
	}
	return conn, nil
}

func (conn *connection) hello(ctx context.Context) (err error) {
	if conn.stream, err = api.NewRuntimeClient(conn.link).Attach(ctx); err != nil {
		return err
	}
	hello := &api.Hello{Protocol: api.Protocol}
	err = conn.stream.Send(&api.ApplicationBatch{Frames: []*api.ApplicationFrame{{Frame: &api.ApplicationFrame_Hello{Hello: hello}}}})
	if err != nil && !errors.Is(err, io.EOF) { // of io.EOF, Recv tells the reason
		return err
	}
	first, err := conn.stream.Recv()
	if err != nil {
		return err
	}
	if len(first.Frames) == 0 || first.Frames[0].GetWelcome() == nil {
		return errors.New("it did not begin with a welcome: it is no runtime of this version")
	}
	w := first.Frames[0].GetWelcome()
	if w.Protocol != api.Protocol {
		return fmt.Errorf("it speaks version %d of the application API, this library version %d", w.Protocol, api.Protocol)
	}
	if conn.runtime, err = message.ParseURL(w.Runtime); err != nil {
		return fmt.Errorf("its welcome: %w", err)
	}
	conn.version = w.Version
	for _, f := range first.Frames[1:] {
		if err := conn.frame(f); err != nil {
			return err
		}
	}
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
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
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
}

// serve reads and writes until the stream breaks.
func (conn *connection) serve() error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		conn.write()
	}()
	err := conn.read()
	conn.cancel()
	<-written
	_ = conn.link.Close()
	return err
}

func (conn *connection) read() error {
	for {
		batch, err := conn.stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the runtime has ended")
		}
		if err != nil {
			return errors.New(status.Convert(err).Message())
		}
		for _, f := range batch.Frames {
			if err := conn.frame(f); err != nil {
				return err
			}
		}
	}
}

// write sends whatever is queued, together, and never waits for more.
func (conn *connection) write() {
	for {
		select {
		case <-conn.kick:
		case <-conn.stream.Context().Done():
			return
		}
		for {
			frames := conn.collect()
			if len(frames) == 0 {
				break
			}
			if err := conn.stream.Send(&api.ApplicationBatch{Frames: frames}); err != nil {
				return // the reader learns why
			}
		}
	}
}

// collect takes what goes out next: first what is short, then messages, from each hyperty in turn.
func (conn *connection) collect() []*api.ApplicationFrame {
	c := conn.client
	c.mu.Lock()
	defer c.mu.Unlock()
	frames := conn.control
	conn.control = nil
	for _, a := range conn.owing {
		frames = append(frames, &api.ApplicationFrame{Frame: &api.ApplicationFrame_Credit{
			Credit: &api.Credit{Ref: a.ref, Responses: uint32(a.heard)}}})
		a.heard = 0
	}
	conn.owing = nil
	size := 0
	for len(conn.dirty) > 0 && size < batchBytes {
		a := conn.dirty[0]
		n := 0
		for ; n < len(a.queue) && size < batchBytes; n++ {
			out := a.queue[n]
			size += len(out.bytes)
			frames = append(frames, &api.ApplicationFrame{Frame: &api.ApplicationFrame_Post{
				Post: &api.Carry{Ref: a.ref, Message: out.bytes, Track: out.track}}})
			a.posts++
			a.sent[a.posts] = out.receipt
			if out.track {
				if t := a.tracked[out.id.Key()]; t != nil {
					t.out = true
				}
			}
		}
		if n == len(a.queue) {
			a.queue, a.dirty = nil, false
			conn.dirty = conn.dirty[1:]
		} else {
			a.queue = a.queue[n:]
			conn.dirty = append(conn.dirty[1:], a)
		}
	}
	return frames
}

// send queues a control frame. mu is held.
func (conn *connection) send(f *api.ApplicationFrame) {
	conn.control = append(conn.control, f)
	conn.poke()
}

func (conn *connection) poke() {
	select {
	case conn.kick <- struct{}{}:
	default:
	}
}
