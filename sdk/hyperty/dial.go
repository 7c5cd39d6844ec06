package hyperty

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/internal/minibus"
)

var _ Runtime = (*Client)(nil)

// Dial connects to the runtime. It fails at once where none is running; afterwards the client connects again by
// itself whenever the connection breaks, until it is closed.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if o.Socket == "" {
		path, err := DefaultSocket()
		if err != nil {
			return nil, err
		}
		o.Socket = path
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Timeout <= 0 {
		o.Timeout = minibus.DefaultTimeout
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	c := &Client{o: o, attached: map[uint32]*attached{}, changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	conn, err := c.connect(ctx)
	if err != nil {
		c.cancel()
		return nil, dialError(o.Socket, err)
	}
	c.up(conn)
	c.work.Go(func() { c.run(conn) })
	return c, nil
}

// dialError says what is to be done about a socket that cannot be used.
func dialError(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the socket %s may not be opened: %w (it belongs to the user that runs the runtime: run the application as that "+
			"user, or a runtime of your own with: protofly run)", socket, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no runtime at %s: %w (start one with: protofly run)", socket, err)
	}
	return fmt.Errorf("the runtime at %s cannot be used: %w", socket, err)
}

// State returns the present state of the connection.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Close closes every hyperty, after what they have posted has been taken by the runtime; ctx bounds that. It must not
// be called from a handler.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	all := make([]*attached, 0, len(c.attached))
	for _, a := range c.attached {
		all = append(all, a)
	}
	c.closed = true
	c.locked().wake()
	c.mu.Unlock()
	var errs []error
	for _, a := range all {
		if h := a.owner(); h != nil {
			errs = append(errs, h.Close(ctx))
		}
	}
	c.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.work.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done(): // an application's handler does not return; the hyperty's error says so
	}
	return errors.Join(errs...)
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

// maxHyperties is how many hyperties one client may have; the runtime refuses more.
const maxHyperties = 256

// ask asks for the registration and waits for the answer.
func (c *Client) ask(ctx context.Context, r Registration) (*attached, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.locked().await(ctx, c.o.Wait, func() bool { return c.conn != nil || c.closed }); err != nil {
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
	a.locked().register(c.conn)
	err := c.locked().await(ctx, 0, func() bool { return a.state == registered || a.state == ended || c.closed })
	switch {
	case err == nil && a.state == registered:
		return a, nil
	case err == nil && a.state == ended:
		err = a.err
	case err == nil:
		err = ErrClientClosed
	}
	if c.conn != nil && a.state != ended {
		c.conn.locked().send(&apiwire.ApplicationFrame{Frame: &apiwire.ApplicationFrame_Unregister{Unregister: &apiwire.Unregister{Ref: a.ref}}})
	}
	a.state = ended
	delete(c.attached, a.ref)
	c.work.Go(a.bus.Close)
	return nil, err
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

// up takes a new connection into use: every hyperty is registered again.
func (c *Client) up(conn *connection) {
	c.mu.Lock()
	c.conn = conn
	c.state = State{Connected: true, Runtime: conn.runtime, Version: conn.version}
	state := c.state
	for _, a := range c.attached {
		a.locked().register(conn)
	}
	c.locked().wake()
	c.mu.Unlock()
	if c.o.OnState != nil {
		c.o.OnState(state)
	}
}

// down takes a broken connection out of use. Messages that were sent on it and not confirmed are reported to their senders as
// in doubt; messages that were not yet sent wait for the next connection.
func (c *Client) down(why error) {
	c.mu.Lock()
	c.conn = nil
	c.state.Connected, c.state.Err = false, why
	state := c.state
	all := make([]*attached, 0, len(c.attached))
	for _, a := range c.attached {
		all = append(all, a)
	}
	c.locked().wake()
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
