package hyperty

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// Options are a Client's settings. The zero value works.
type Options struct {
	Socket  string        // the runtime's; empty: [DefaultSocket]
	Wait    time.Duration // for the runtime to come back: how long Post and Register wait for it; 0: 30 s
	Timeout time.Duration // of a request; 0: 15 s
	// OnState is called when the connection has come or gone, one call at a time and in order. It must not block.
	OnState func(State)
	Log     hclog.Logger // nil: none
}

// State is how the connection to the runtime is.
type State struct {
	Connected bool
	Runtime   message.URL // its URL; while not connected, the last one's
	Version   string      // of the runtime, for people
	Err       error       // while not connected: why
}

// defaultWait is how long a client waits for a runtime that is gone.
const defaultWait = 30 * time.Second

// maxHyperties is how many hyperties one client may have; the runtime refuses more.
const maxHyperties = 256

// ErrDisconnected says that the runtime could not be reached in [Options.Wait].
var ErrDisconnected = errors.New("not connected to the runtime")

// ErrClientClosed is the error of a client that has been closed.
var ErrClientClosed = errors.New("the client is closed")

// Client reaches a running runtime over its Unix socket. It implements [Runtime].
type Client struct {
	o      Options
	ctx    context.Context // of everything that the client runs
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	conn     *connection // nil while there is none
	epoch    uint64      // counts connections
	state    State
	attached map[uint32]*attached
	lastRef  uint32
	closed   bool
	changed  chan struct{} // closed and replaced when something that a waiter may wait for has changed
	waiters  int

	intakes work.Memory[incoming] // of what came and waits
}

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
		return nil, fmt.Errorf("no runtime at %s: %w (start one with: protofly run)", o.Socket, err)
	}
	c.up(conn)
	c.work.Go(func() { c.run(conn) })
	return c, nil
}

// State is how the connection is now.
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
	c.wake()
	c.mu.Unlock()
	var errs []error
	for _, a := range all {
		if h := a.owner(); h != nil {
			errs = append(errs, h.Close(ctx))
		}
	}
	c.cancel()
	c.work.Wait()
	return errors.Join(errs...)
}

// wake makes every await look again whether it is done. The caller holds mu.
func (c *Client) wake() {
	if c.waiters == 0 {
		return
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until done says so; it is called with mu held, and holds it when await returns. Beyond limit, which 0
// leaves open, the error is [ErrDisconnected].
func (c *Client) await(ctx context.Context, limit time.Duration, done func() bool) error {
	var late <-chan time.Time
	if limit > 0 && !done() {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	for !done() {
		changed := c.changed
		c.waiters++
		c.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-late:
			err = ErrDisconnected
		case <-c.ctx.Done():
			err = ErrClientClosed
		}
		c.mu.Lock()
		c.waiters--
		if err != nil {
			return err
		}
	}
	return nil
}
