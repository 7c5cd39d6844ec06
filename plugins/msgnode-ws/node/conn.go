package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/peers"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// Close codes of the node, besides WebSocket's own.
const (
	closeReplaced websocket.StatusCode = 4001
	closeDropped  websocket.StatusCode = 4002
)

// dialect is how a connection's packets are written.
type dialect int

const (
	binary    dialect = iota // protofly.v1
	plainJSON                // reference: plain WebSocket stub
	sessionJSON
)

// conn is one WebSocket connection. An idle one has one goroutine, its reader. A writer runs while there is something to
// write, and a pinger while a pong is awaited; the reader waits for both.
type conn struct {
	node    *Node
	id      uint64
	ws      *websocket.Conn
	dialect dialect
	stamp   string      // orders the connections of one runtime: the greatest is the newest
	runtime message.URL // canonical; set once by the reader, with setRuntime, before the connection is attached

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	wg     sync.WaitGroup

	account
	guest   admission.Guest // what it may do here
	hasTurn bool            // its reader has the turn to compute; see charge.go

	mu      sync.Mutex
	out     outbox.Outbox   // packets, shared with other connections: never written to
	writing []outbox.Packet // in the writer's hands
	closed  bool            // kicked or ended: nothing is queued any more
	writes  bool            // there is a writer
	pinger  *time.Timer

	wake chan struct{} // capacity 1: the queue is not empty

	routes routes // of this connection; see routes.go
	asked  peers.Questions
	peers  *peers.Peers
}

func (n *Node) newConn(k *netConn, from quota.Source, d dialect) *conn {
	id := n.lastConn.Add(1)
	l := n.opts.Limits
	c := &conn{node: n, id: id, dialect: d, wake: make(chan struct{}, 1),
		account: account{from: from, ticket: k.ticket, budget: rate.NewLimiter(rate.Limit(l.Requests), 10*l.Requests),
			told: rate.NewLimiter(1, 1)},
		peers: peers.New(),
		stamp: fmt.Sprintf("%020d.%s.%d", time.Now().UnixNano(), n.id, id)}
	c.ctx, c.cancel = context.WithCancel(n.ctx)
	return c
}

// setRuntime says whose connection it is. Other goroutines than the reader use [conn.whose].
func (c *conn) setRuntime(u message.URL) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runtime = u
}

func (c *conn) whose() message.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runtime
}

// legacy tells whether the connection has proved nothing of who it is.
func (c *conn) legacy() bool { return c.dialect != binary }

// account is what a connection is bounded by.
type account struct {
	from   quota.Source  // whom it is counted by, besides its runtime
	ticket *quota.Ticket // its place at the listener
	budget *rate.Limiter // what its requests may cost
	resume time.Time     // when it is read from again; zero: now. Its reader's
	told   *rate.Limiter // notices of data that was dropped, since its receiver does not answer

	remembered atomic.Int64 // bytes that are kept for it, besides what waits to be written
	reading    reading      // the packet that comes in; its reader's own
}

// readError is how a connection ended, for the log; an ordinary end is none.
func readError(err error) error {
	if errors.As(err, new(websocket.CloseError)) {
		return nil
	}
	return err
}
