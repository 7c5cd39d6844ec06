package hyperty

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// up takes a new connection into use: every hyperty is registered again.
func (c *Client) up(conn *connection) {
	c.mu.Lock()
	c.epoch++
	conn.epoch = c.epoch
	c.conn = conn
	c.state = State{Connected: true, Runtime: conn.runtime, Version: conn.version}
	state := c.state
	for _, a := range c.attached {
		a.register(conn)
	}
	c.wake()
	c.mu.Unlock()
	if c.o.OnState != nil {
		c.o.OnState(state)
	}
}

// down takes a broken connection out of use. What was given to it and not confirmed is in doubt, and its posters are
// told; what was not yet sent waits for the next connection.
func (c *Client) down(why error) {
	c.mu.Lock()
	c.conn = nil
	c.state.Connected, c.state.Err = false, why
	state := c.state
	all := make([]*attached, 0, len(c.attached))
	for _, a := range c.attached {
		all = append(all, a)
	}
	c.wake()
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		return // it is being closed
	}
	c.o.Log.Warn("connection to the runtime lost", "socket", c.o.Socket, "error", why)
	for _, a := range all {
		a.lost(why, false)
	}
	if c.o.OnState != nil {
		c.o.OnState(state)
	}
}

// expire refuses what has waited too long for a runtime.
func (c *Client) expire() {
	c.mu.Lock()
	all := make([]*attached, 0, len(c.attached))
	for _, a := range c.attached {
		all = append(all, a)
	}
	c.mu.Unlock()
	for _, a := range all {
		a.lost(ErrDisconnected, true)
	}
}

// Register registers a hyperty at the runtime; see [Runtime].
func (c *Client) Register(ctx context.Context, r Registration) (*Hyperty, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("register hyperty: %w", err)
	}
	a, err := c.ask(ctx, r)
	if err != nil {
		if r.Name == "" {
			return nil, fmt.Errorf("register a hyperty with any name: %w", err)
		}
		return nil, fmt.Errorf("register hyperty %q: %w", r.Name, err)
	}
	h := New(a, a.url, c.State().Runtime, a.close)
	h.log = c.o.Log
	a.open(h)
	return h, nil
}

// ask asks for the registration and waits for the answer.
func (c *Client) ask(ctx context.Context, r Registration) (*attached, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.await(ctx, c.o.Wait, func() bool { return c.conn != nil || c.closed }); err != nil {
		return nil, err
	}
	if c.closed {
		return nil, ErrClientClosed
	}
	if len(c.attached) >= maxHyperties {
		return nil, fmt.Errorf("this client has %d hyperties already, the most that are allowed", maxHyperties)
	}
	c.lastRef++
	a := newAttached(c, c.lastRef, r)
	c.attached[a.ref] = a
	a.register(c.conn)
	err := c.await(ctx, 0, func() bool { return a.state == registered || a.state == ended || c.closed })
	switch {
	case err == nil && a.state == registered:
		return a, nil
	case err == nil && a.state == ended:
		err = a.err
	case err == nil:
		err = ErrClientClosed
	}
	if c.conn != nil && a.state != ended {
		c.conn.send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: a.ref}}})
	}
	a.state = ended
	delete(c.attached, a.ref)
	c.work.Go(a.bus.Close)
	return nil, err
}

// frame takes one frame from the runtime. An error ends the connection.
func (conn *connection) frame(data []byte) error {
	c := conn.client
	var f apiwire.RuntimeFrame
	if err := proto.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("from the runtime: %w", err)
	}
	switch f := f.Frame.(type) {
	case *apiwire.RuntimeFrame_Registered:
		c.registered(conn, f.Registered)
	case *apiwire.RuntimeFrame_Ended:
		c.ended(conn, f.Ended)
	case *apiwire.RuntimeFrame_Outcome:
		c.mu.Lock()
		a := c.attached[f.Outcome.Ref]
		c.mu.Unlock()
		if a != nil {
			a.settled(f.Outcome)
		}
	case *apiwire.RuntimeFrame_Farewell:
		return errors.New(f.Farewell.Reason)
	}
	return nil
}

// confirmed takes the runtime's credit.
func (conn *connection) confirmed(data []byte) error {
	c := conn.client
	if err := conn.credit.Parse(data); err != nil {
		return fmt.Errorf("from the runtime: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.attached[conn.credit.Ref]
	if a == nil {
		return nil
	}
	err := a.confirm(conn.credit.Posts)
	c.wake()
	return err
}

func (c *Client) registered(conn *connection, f *apiwire.Registered) {
	c.mu.Lock()
	a := c.attached[f.Ref]
	if a == nil || a.state != asked {
		c.mu.Unlock()
		return
	}
	url, err := message.ParseURL(f.Url)
	switch {
	case err != nil:
	case a.url == "" || a.url == url:
		again := a.url != ""
		a.url, a.state, a.pause = url, registered, 0
		if len(a.queue) > 0 {
			a.markDirty(conn)
		}
		if again && a.hyperty != nil && !c.closed {
			c.work.Go(func() { a.hyperty.resume(conn.ctx) })
		}
		c.wake()
		c.mu.Unlock()
		return
	default:
		err = fmt.Errorf("the address %s was lost: the runtime gave %s instead", a.url, url)
	}
	conn.send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: f.Ref}}})
	c.mu.Unlock()
	a.fail(err)
}

// ended is told by the runtime that a hyperty is not, or no longer, registered.
func (c *Client) ended(conn *connection, f *apiwire.Ended) {
	c.mu.Lock()
	a := c.attached[f.Ref]
	if a == nil {
		c.mu.Unlock()
		return
	}
	err := error(&message.ResponseError{Code: int(f.Code), Description: f.Reason, From: conn.runtime})
	switch {
	case a.state == closing || a.url == "":
		a.state, a.err = ended, err
		c.wake()
		c.mu.Unlock()
	case a.state == asked && passing(int(f.Code)):
		a.pause = min(max(2*a.pause, 100*time.Millisecond), 5*time.Second)
		pause := a.pause
		c.mu.Unlock()
		c.o.Log.Warn("hyperty not yet registered again", "url", a.url, "error", err, "again", pause)
		c.work.Go(func() { a.again(conn, pause) })
	default:
		c.mu.Unlock()
		a.fail(fmt.Errorf("%s is no longer registered: %w", a.url, err))
	}
}

// passing tells whether a refusal of an address that was ours may pass: the node cannot be reached yet, or the
// registration of the connection before is still being ended.
func passing(code int) bool {
	switch code {
	case message.CodeTimeout, message.CodeConflict, message.CodeTooMany, message.CodeUnavailable, message.CodeError:
		return true
	}
	return false
}

// identifier is the name under which url is registered again.
func identifier(url message.URL) string { return strings.TrimPrefix(url.Path(), "/") }

var errInDoubt = errors.New("the connection to the runtime broke before it was confirmed; it may have been sent on or not")
