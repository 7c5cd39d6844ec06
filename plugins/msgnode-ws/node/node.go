package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/sdk/message"
)

// Node is a running Message Node.
type Node struct {
	opts     Options
	log      hclog.Logger
	id       string // of this process, in subjects
	subjects backbone.Subjects
	guard
	unlock func() // the data folder; nil: there is none

	backbone  *backbone.NATS
	seal      *backbone.Seal // of what nodes send each other; nil with an embedded NATS
	interests *backbone.Interests[*conn]

	tables

	ctx                  context.Context // ends when the node closes
	cancel               context.CancelFunc
	wg                   sync.WaitGroup // dispatcher, sweeper, followers
	lastConn, lastNotice atomic.Uint64
	strange              atomic.Uint64 // messages at NATS that no node of the domain sent, or too late

	mu       sync.Mutex
	closing  bool
	conns    map[*conn]struct{}        // every WebSocket connection
	serving  sync.WaitGroup            // the connections' handlers
	runtimes map[message.URL]*conn     // the newest connection of each runtime
	byID     map[uint64]*conn          // attached ones, for NATS's answers
	legacies int                       // those of them in the reference's dialects
	missing  map[message.URL]time.Time // since when a runtime that has something in the state has no connection
}

// guard is what bounds strangers at the node.
type guard struct {
	listener  *listener
	rates     *rates
	turns     quota.Turns // to compute what connections ask for
	buffers   buffers     // that packets are read into
	memory    outbox.Memory
	admission admission
}

// tables are the node's state.
type tables struct {
	allocations   *table.Table[allocation]
	subscriptions *table.Table[subscription]
	registrations *table.Table[registration]
	sessions      *table.Table[session]
}

// closeTime is how long connections have to answer that the node stops.
const closeTime = 2 * time.Second

// New starts a node: its NATS, its state and its listening socket. It serves nobody before [Node.Serve]. The error says
// what is wrong with o or what could not be opened.
func New(ctx context.Context, o Options) (_ *Node, err error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	o = o.withDefaults()
	n := &Node{opts: o, log: o.Log, id: backbone.Hash(newSecret())[:12], subjects: backbone.NewSubjects(o.Domain),
		conns: map[*conn]struct{}{}, runtimes: map[message.URL]*conn{}, byID: map[uint64]*conn{},
		missing: map[message.URL]time.Time{}}
	n.rates, n.memory.Limit = newRates(o.Limits), o.Limits.Memory
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if o.NATS == "" {
		if n.unlock, err = lockFolder(o.Data); err != nil {
			return nil, err
		}
	}
	// The socket comes before the state: a port in use is the most frequent mistake and the quickest to see.
	socket, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("message node: listen: %w; is the port in use? choose another one, or 0 for any", err)
	}
	n.listener = &listener{Listener: socket, sources: o.sources(), tls: o.TLS != nil, arrivals: quota.NewBuckets[quota.Source](rate.Limit(2*o.Limits.Handshakes), 20*o.Limits.Handshakes),
		gate: quota.NewGate(o.Limits.Unproven, o.Limits.PerAddress, o.Limits.Connections)}
	if n.listener.sources.Off {
		n.log.Warn("connections are not counted by address: insecure says that a proxy stands before the node, and proxies does not name it")
	}
	if n.admission, err = openAdmission(o); err != nil {
		return nil, err
	}
	if o.NATS != "" {
		if n.seal, err = backbone.NewSeal(o.NATSKey, o.Domain); err != nil {
			return nil, err
		}
	}
	if n.backbone, err = backbone.Start(backbone.Options{Domain: o.Domain, URL: o.NATS, Credentials: o.NATSCredentials, Data: o.Data, Log: o.Log, Lost: n.overrun}); err != nil {
		return nil, err
	}
	n.interests = backbone.NewInterests[*conn](n.backbone.Messages)
	if _, err = n.backbone.Messages.ChanSubscribe(n.subjects.Unanswered(n.id)+".>", n.interests.In); err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	if err = n.openState(ctx); err != nil {
		return nil, err
	}
	n.wg.Go(n.dispatch)
	n.wg.Go(n.sweep)
	return n, nil
}

// Addr is the address that the node listens on.
func (n *Node) Addr() net.Addr { return n.listener.Addr() }

// Serve answers connections until ctx ends, then closes the node: connections are told that it stops (code 1001). It
// returns nil after that, or the error that the HTTP server ended with.
func (n *Node) Serve(ctx context.Context) error {
	s := n.server()
	done := make(chan error, 1)
	go func() { done <- n.serveHTTP(s) }()
	var err error
	select {
	case <-ctx.Done():
		s.Close()
		<-done
	case err = <-done:
	}
	n.Close()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Close ends every connection, waits for all that the node started, and frees its data folder. It may be called more
// than once.
func (n *Node) Close() {
	n.mu.Lock()
	again := n.closing
	n.closing = true
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	if again {
		return
	}
	if n.listener != nil {
		n.listener.Close()
	}
	for _, c := range conns {
		c.kick(websocket.StatusGoingAway, "the node stops")
	}
	cut := time.AfterFunc(closeTime, n.cancel) // who does not answer the close is cut off
	n.serving.Wait()
	cut.Stop()
	n.cancel()
	n.wg.Wait()
	if n.backbone != nil {
		n.backbone.Close()
	}
	if n.unlock != nil {
		n.unlock()
	}
}

// openState opens the buckets and waits until their copies in memory are complete.
func (n *Node) openState(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	prefix := backbone.BucketPrefix(n.opts.Domain)
	var err error
	if n.allocations, err = openTable(ctx, n, 0, table.Options[allocation]{Name: prefix + "addresses", Terms: (*allocation).terms, Put: n.granted}); err != nil {
		return err
	}
	if n.subscriptions, err = openTable(ctx, n, 0, table.Options[subscription]{Name: prefix + "subscriptions", Terms: (*subscription).terms, Put: n.noted}); err != nil {
		return err
	}
	if n.registrations, err = openTable(ctx, n, 0, registrationTable(prefix+"registry")); err != nil {
		return err
	}
	if n.sessions, err = openTable(ctx, n, sessionTTL, table.Options[session]{Name: prefix + "sessions", Terms: (*session).terms}); err != nil {
		return err
	}
	if n.opts.Admit.invites() {
		if n.admission.redeemed, err = openTable(ctx, n, 0, table.Options[redemption]{Name: prefix + "redeemed", Terms: (*redemption).terms}); err != nil {
			return err
		}
		n.admission.redeemed.Bound(n.room)
	}
	if err := n.upgrade(ctx); err != nil {
		return err
	}
	// Only now: what was there before there was a bound is not refused.
	n.allocations.Bound(n.room)
	n.subscriptions.Bound(n.room)
	n.registrations.Bound(n.room)
	n.sessions.Bound(n.room)
	return nil
}

// bucketOptions are how a table's bucket is kept: with some room besides the largest row.
func bucketOptions(replicas int, ttl time.Duration) backbone.BucketOptions {
	return backbone.BucketOptions{Replicas: replicas, MaxValue: table.MaxRow + 4096, TTL: ttl}
}

func openTable[T any](ctx context.Context, n *Node, ttl time.Duration, o table.Options[T]) (*table.Table[T], error) {
	kv, err := n.backbone.Bucket(ctx, o.Name, bucketOptions(n.opts.Replicas, ttl))
	if err != nil {
		return nil, err
	}
	t := table.New(kv, o)
	n.wg.Go(func() {
		for n.ctx.Err() == nil {
			if err := t.Follow(n.ctx, n.backbone.Life()); n.ctx.Err() == nil && err != nil {
				n.log.Warn("the state's copy lost its source, trying again", "error", err)
				wait(n.ctx, time.Second)
			}
		}
	})
	select {
	case <-t.Ready():
		return t, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("message node: state %s: %w", o.Name, ctx.Err())
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// overrun is called when NATS had to drop what came on a subject: whoever wanted it is told by a close, so that no loss goes
// unseen; the sessions then ask again for what they miss.
func (n *Node) overrun(subject string) {
	if n.interests == nil {
		return
	}
	n.log.Error("the node does not keep up, messages were dropped")
	for _, c := range n.interests.Of(subject) {
		c.kick(websocket.StatusTryAgainLater, "the node is overloaded and lost messages for you")
	}
}

// writable tells whether a runtime may write rows to the state now, and has c pay for those beyond the first one, which
// the price of its request has in it. The error is the response to give.
func (n *Node) writable(c *conn, runtime message.URL, rows int) *refusal {
	if n.opts.NATS == "" {
		if free, ok := freeBytes(n.opts.Data); ok && free < n.opts.Limits.MinFree {
			return refuse(message.CodeError, "the disk under the node's data folder is full: %d bytes free, %d are kept free; nothing was written",
				free, n.opts.Limits.MinFree)
		}
		if why := n.backbone.Fault(); why != "" {
			return refuse(message.CodeError, "the node's state cannot be written: %s", why)
		}
	}
	if wait, ok := n.rates.writers.Take(runtime, rows, time.Now()); !ok {
		return tryAgain(wait, "too many changes: at most %d a second", n.opts.Limits.Writes)
	}
	if rows > 1 {
		if r := n.charge(c, min(rowPrice*(rows-1), n.rates.largest)); r != nil {
			return r
		}
	}
	c.finish() // from here on it waits for the disk
	return nil
}
