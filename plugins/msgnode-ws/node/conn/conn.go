package conn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/sdk/message"
)

// Close codes of the node, besides WebSocket's own.
const (
	CodeReplaced websocket.StatusCode = 4001 // by a newer connection of the same runtime
	CodeLeft     websocket.StatusCode = 4002 // as its stub asked
)

// Dialect is how a connection's packets are written.
type Dialect int

const (
	Binary      Dialect = iota // protofly.v1
	PlainJSON                  // reference: plain WebSocket stub
	SessionJSON                // reference: session stub
)

// Conn is one WebSocket connection. [Set.New] makes it, and it begins with [Conn.Start].
type Conn struct {
	ID      uint64
	Dialect Dialect
	From    quota.Source // by which it is counted, besides its runtime
	Stamp   string       // orders the connections of one runtime: the greatest is the newest

	all   *shared
	asker quota.Asker
	whose atomic.Pointer[message.URL]

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ws     *websocket.Conn // set once, under mu; the reader and what it starts use it without mu

	mu      sync.Mutex
	out     outbox.Outbox   // packets, shared with other connections: never written to
	writing []outbox.Packet // in the writer's hands
	closed  bool            // kicked or ended: nothing is queued any more
	writes  bool            // there is a writer
	pinger  *time.Timer

	wake chan struct{} // capacity 1: the queue is not empty

	remembered atomic.Int64 // bytes that the node keeps for it, besides what waits to be written
	reading    reading      // the packet that comes in; used by the reader alone
}

// Context ends with the connection.
func (c *Conn) Context() context.Context { return c.ctx }

// SetRuntime sets the runtime of the connection, once: a canonical address.
func (c *Conn) SetRuntime(u message.URL) { c.whose.Store(&u) }

// Runtime is the runtime of the connection; "": it is not known yet.
func (c *Conn) Runtime() message.URL {
	if u := c.whose.Load(); u != nil {
		return *u
	}
	return ""
}

// Unproved tells whether the connection is of a dialect without proofs.
func (c *Conn) Unproved() bool { return c.Dialect != Binary }

// Remember counts n bytes more, or fewer, that are kept for as long as the connection lives.
func (c *Conn) Remember(n int) {
	c.remembered.Add(int64(n))
	c.all.Memory.Add(int64(n))
}

// Remembered is how many bytes are kept for as long as the connection lives.
func (c *Conn) Remembered() int64 { return c.remembered.Load() }

// lockedConn is a Conn whose mu is locked; functions that need that are its methods.
type lockedConn Conn

func (x *Conn) locked() *lockedConn { return (*lockedConn)(x) }

// reading is the packet that a connection reads, or has read and works on.
type reading struct {
	buf     *[]byte // nil: none
	counted int     // bytes of it that count as kept
}
