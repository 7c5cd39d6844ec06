package registry

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Registry is the runtime's Registry. Make it with [New], then [Registry.Start] it before anything else is called.
type Registry struct {
	opts    Options
	url     message.URL // <runtime>/registry
	changes message.URL // <runtime>/registry/changes

	ctx    context.Context // ends when the Registry is closed
	end    context.CancelFunc
	tasks  chan func()
	wait   sync.WaitGroup
	life   sync.Mutex
	closed bool // guarded by life: nothing is spawned any more

	// Written by the loop, read by anybody.
	addresses *table[address]          // of remote runtimes
	remotes   *table[*remote]          // remote runtimes
	locals    *table[*local]           // hyperties and data objects of this runtime
	stubs     *table[*stub]            // of this runtime
	leaving   *table[*stub]            // stubs that were dropped and have not ended yet
	nodes     atomic.Pointer[nodeWays] // Message Node stubs by domain
	givenUp   givenUp                  // see ended.go
	endings   atomic.Uint64            // how often an address has moved or was forgotten, or one of this runtime has gone: see Standing

	// The loop's own.
	agenda   agenda
	byDomain map[string]*node
	numbers  uint64 // of connections
	swept    int    // the next shard of addresses to sweep

	claimed       int // bytes, see claims.go
	announcements int // addresses that were announced, and nothing better is known of
	publishing    publishing
	following     bool // /registry/changes of others

	lookups    lookups
	askers     askers
	beliefs    beliefs
	turns      turns
	issued     atomic.Int64 // when this runtime's last proof was issued, Unix milliseconds
	pool       pool
	attendance attendance
	notices    notices
	stops      []func() // of the Registry's own listeners
}

var _ bus.Resolver = (*Registry)(nil)

// New makes a Registry. It does nothing until it is started.
func New(o Options) *Registry {
	o = o.withDefaults()
	r := &Registry{
		opts:      o,
		url:       o.Runtime.Join("registry"),
		tasks:     make(chan func(), queueLen),
		addresses: newTable[address](),
		remotes:   newTable[*remote](),
		locals:    newTable[*local](),
		stubs:     newTable[*stub](),
		leaving:   newTable[*stub](),
		byDomain:  map[string]*node{},
		following: !o.NoChanges,
		lookups:   lookups{flights: map[message.URL]*flight{}, misses: map[message.URL]miss{}},
		askers:    newAskers(o.MaxLookups / 2),
		beliefs:   beliefs{seen: map[message.URL]seen{}, complaints: map[string]time.Time{}},
		pool:      pool{free: map[string][]message.URL{}, filling: map[string]chan struct{}{}},
		notices:   notices{wake: make(chan struct{}, 1)},
	}
	r.changes = r.url.Join("changes")
	r.publishing = publishing{on: !o.NoChanges, followers: map[message.URL]*follower{}, wake: make(chan struct{}, 1)}
	r.nodes.Store(&nodeWays{})
	r.ctx, r.end = context.WithCancel(context.Background())
	return r
}

// Start starts the Registry: its loop, and its listeners on the bus for its own address and for the status of this
// runtime's Handlers.
func (r *Registry) Start() {
	r.wait.Go(r.run)
	r.wait.Go(r.notify)
	r.wait.Go(r.publish)
	r.stops = append(r.stops, r.opts.Bus.Listen(r.url, r.receive))
	for _, h := range r.opts.Handlers {
		r.AddStub(Stub{URL: h.URL, Role: sdk.RoleHandler, Plugin: h.Name})
	}
	r.do(func() {
		r.later(r.refreshPause(), r.refresh)
		r.later(r.sweepPause(), r.sweep)
		r.later(r.opts.NodeIdle, r.dropIdleNodes)
	})
}

// later makes an appointment. It runs in the loop.
func (r *Registry) later(d time.Duration, task func()) *appointment {
	return r.at(time.Now().Add(d), task)
}

// Close tells the Domain Registry that what is registered here is gone (for 2 s at most), ends
// everything the Registry runs and waits for it until ctx ends. Stubs are left to who deployed them.
func (r *Registry) Close(ctx context.Context) error {
	r.life.Lock()
	again := r.closed
	r.life.Unlock()
	if !again {
		r.goodbye(ctx)
	}
	r.life.Lock()
	r.closed = true
	r.life.Unlock()
	r.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.wait.Wait()
		for _, stop := range r.listeners() {
			stop()
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("registry: close: still waiting for a bus, a stub or a node: %w", ctx.Err())
	}
}

// listeners are all that the Registry listens with. It is called when the loop has ended.
func (r *Registry) listeners() []func() {
	stops := r.stops
	r.stubs.each(0, shardCount, func(in *item[*stub]) bool {
		stops = append(stops, in.value.stop)
		return true
	})
	r.remotes.each(0, shardCount, func(in *item[*remote]) bool {
		rem := in.value
		for _, c := range []*connection{rem.conn, rem.next} {
			if c != nil && c.stopDoor != nil {
				stops = append(stops, c.stopDoor)
			}
		}
		if rem.follow.stop != nil {
			stops = append(stops, rem.follow.stop)
		}
		return true
	})
	for _, f := range r.publishing.followers {
		stops = append(stops, f.stop)
	}
	return stops
}

// request sends a request from the Registry and returns the value of its successful answer. The error is a
// *message.ResponseError where there was an answer that says no; an answer that did not come in time is a 504.
func (r *Registry) request(ctx context.Context, typ message.Type, to message.URL, body any, timeout time.Duration) (message.Message, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := r.opts.Bus.Request(bounded, message.Message{Type: typ, From: r.url, To: to, Body: message.Encode(body)})
	if err != nil {
		if ctx.Err() == nil && bounded.Err() != nil {
			err = &message.ResponseError{Code: message.CodeUnavailable, From: to, Description: fmt.Sprintf("no answer within %v", timeout)}
		}
		return message.Message{}, err
	}
	_, err = answer.OK()
	return answer, err
}

// post sends a message from the Registry; what goes wrong is logged.
func (r *Registry) post(ctx context.Context, m message.Message) {
	if err := r.opts.Bus.Post(ctx, m); err != nil && ctx.Err() == nil {
		r.opts.Log.Warn("message not posted", "type", m.Type, "to", m.To, "error", err)
	}
}

// refuse makes the error that becomes the response to a message.
func (r *Registry) refuse(code int, format string, args ...any) error {
	return &message.ResponseError{Code: code, From: r.url, Description: fmt.Sprintf(format, args...)}
}
