package hyperty

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// Options are a Client's settings. The zero value works.
type Options struct {
	Socket  string        // path of the runtime's Unix socket; empty: [DefaultSocket]
	Wait    time.Duration // how long Post and Register wait for a runtime that is gone to come back; 0: 30 s
	Timeout time.Duration // how long a request waits for its answer; 0: 15 s
	// OnState is called when the connection has come or gone, one call at a time and in order. It must not block.
	OnState func(State)
	Log     hclog.Logger // nil: none
}

// State is the state of the connection to the runtime.
type State struct {
	Connected bool
	Runtime   message.URL // its URL; while not connected, the last one's
	Version   string      // the runtime's version, for people
	Err       error       // while not connected: why
}

// defaultWait is how long a client waits for a runtime that is gone.
const defaultWait = 30 * time.Second

// ErrDisconnected says that the runtime could not be reached within [Options].Wait.
var ErrDisconnected = errors.New("not connected to the runtime")

// ErrClientClosed is the error of a client that has been closed.
var ErrClientClosed = errors.New("the client is closed")

// Client reaches a running runtime over its Unix socket. It implements [Runtime].
type Client struct {
	o      Options
	ctx    context.Context // ends with the client
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	conn     *connection // nil while there is none
	state    State
	attached map[uint32]*attached
	lastRef  uint32
	closed   bool
	changed  chan struct{} // closed and replaced at each change, while there are waiters
	waiters  int

	intakes work.Memory[incoming] // the messages in all intakes
}

// The life of an attached hyperty: asked → registered → asked (after each break) …; → closing → ended.
type phase uint8

const (
	asked phase = iota
	registered
	closing
	ended
)

// attached is one hyperty of a client: the bus that its Hyperty is made of, and its two windows.
type attached struct {
	client *Client
	ref    uint32
	wish   Registration
	bus    *minibus.MiniBus

	// Guarded by client.mu.
	url      message.URL // "" until it has been registered once
	state    phase
	err      error
	released bool          // the runtime has said that the name is given up
	hyperty  *Hyperty      // nil until the caller of Register has it
	pause    time.Duration // before the next try to register again
	lastID   uint64
	waiting  map[message.ID]*request // without an answer, by the ID's key

	queue    []receipt     // taken, not yet sent
	records  apiwire.Queue // of queue
	sent     sent          // sent on this connection, not yet confirmed
	posts    uint64        // how many were sent on this connection
	window   window        // what queue and sent take
	dirty    bool          // in the connection's list
	heard    int           // responses that came and that the runtime does not know of yet
	settling settling      // what became of the messages that came
	owing    bool          // in the connection's list
	tracked  map[message.ID]*tracked

	intake  intake
	parser  message.Parser  // of the connection's reader
	checker message.Checker // of what is posted; guarded by the client's mu
}

// tracked is a message whose sender wants to know what becomes of it.
type tracked struct {
	tell func(Outcome)
	out  bool // the runtime may have it
}

// request is one that waits for its answer.
type request struct {
	receipt
	out bool // it has been queued, at least
}

// intake is the queue of messages that have come for a hyperty and wait for its listeners. Its goroutine runs only while the
// queue has messages. The client's mu guards it.
type intake struct {
	lane   work.Lane[incoming] // held until opened
	units  int                 // of the window that it takes
	free   int                 // messages in it that cost nothing: responses
	opened bool                // somebody listens
}

type incoming struct {
	m      message.Message
	cost   int    // 0: of a response
	number uint64 // see settling
}

// connection is one stream to the runtime, from its Welcome to its end.
type connection struct {
	client  *Client
	conn    net.Conn
	reader  *apiwire.Reader
	credit  apiwire.Credit  // that the reader has read last
	last    *attached       // for which the reader has read a message last
	ctx     context.Context // ends with the stream
	cancel  context.CancelFunc
	runtime message.URL
	version string
	kick    chan struct{} // the writer has something to do
	late    *time.Timer   // the writer has something to do in a while

	// Guarded by client.mu.
	control   apiwire.Queue // records that are no messages
	dirty     []*attached   // whose queue is not empty
	owing     []*attached   // that owe the runtime credit for messages or responses
	hesitates bool          // late is running
	reading   bool          // more of what was read is to be handled
}

// One lock, the client's mu, guards the client, its connection and all its hyperties. Methods that need it locked are
// methods of these types; locked is called by whoever has locked it.
type (
	lockedClient     Client
	lockedAttached   attached
	lockedConnection connection
)

func (c *Client) locked() *lockedClient            { return (*lockedClient)(c) }
func (a *attached) locked() *lockedAttached        { return (*lockedAttached)(a) }
func (conn *connection) locked() *lockedConnection { return (*lockedConnection)(conn) }

// wake makes every await look again whether it is done.
func (c *lockedClient) wake() {
	if c.waiters == 0 {
		return
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until done returns true. While it waits, mu is unlocked; done runs with it locked. After limit, where that
// is not 0, the error is [ErrDisconnected].
func (c *lockedClient) await(ctx context.Context, limit time.Duration, done func() bool) error {
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
