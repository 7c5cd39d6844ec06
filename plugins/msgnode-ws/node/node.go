package node

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
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

	state *state.State

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
	admission *admission.Policy
}

// Addr is the address that the node listens on.
func (n *Node) Addr() net.Addr { return n.listener.Addr() }

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// connectionOf is the newest connection of a runtime at this node, or nil.
func (n *Node) connectionOf(runtime message.URL) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runtimes[runtime]
}

func (n *Node) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

func (n *Node) manyLegacies() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.legacies >= n.opts.Limits.Legacy
}
