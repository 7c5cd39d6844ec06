package conn

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/outbox"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

// Set is all WebSocket connections of a node, and what it keeps in memory for them.
type Set struct {
	shared
	ctx  context.Context // of all connections
	last atomic.Uint64

	mu      sync.Mutex
	closing bool
	conns   map[*Conn]struct{}
	serving sync.WaitGroup // users of connections, until Remove
}

// NewSet makes an empty set. ctx ends every connection.
func NewSet(ctx context.Context, o Options) *Set {
	s := &Set{ctx: ctx, conns: map[*Conn]struct{}{}}
	s.shared = shared{o: o, Memory: outbox.Memory{Limit: o.Memory}, relieve: s.Relieve}
	return s
}

// New makes a connection from an address, which is in the set until [Set.Remove]; nil: the set is closing.
func (s *Set) New(from quota.Source, d Dialect) *Conn {
	id := s.last.Add(1)
	c := &Conn{all: &s.shared, ID: id, Dialect: d, From: from, asker: quota.AskerOf(from, id), wake: make(chan struct{}, 1),
		Stamp: fmt.Sprintf("%020d.%s.%d", time.Now().UnixNano(), s.o.Node, id)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	s.conns[c] = struct{}{}
	s.serving.Add(1)
	return c
}

// Remove is called once for each connection, when nobody uses it any more.
func (s *Set) Remove(c *Conn) {
	c.cancel()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.serving.Done()
}

// Len is how many connections there are.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// List is the connections that there are now.
func (s *Set) List() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// Close tells every connection that the node stops, and waits until nobody uses one any more. From then on there are no new ones.
func (s *Set) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	for _, c := range s.List() {
		c.Kick(websocket.StatusGoingAway, "the node stops")
	}
	s.serving.Wait()
}

// Relieve closes a connection if more is kept for all together than may be: the largest one of the address for which the most
// is kept. So many connections of one address, each with little, cost nobody else a place.
func (s *Set) Relieve() {
	worst, most := largest(s.List())
	if worst == nil {
		return
	}
	s.o.Log.Warn("the node keeps more than it may: its largest connection is closed", "runtime", worst.Runtime(), "bytes", most, "limit", s.Memory.Limit)
	worst.Kick(websocket.StatusTryAgainLater, "the node needs the memory, and most of it is kept for you or your address")
	worst.Forfeit()
}

// largest returns the connection for which the most is kept, among those of the address for which the most is kept, and how
// much that is; nil if nothing is kept.
func largest(conns []*Conn) (worst *Conn, most int64) {
	sizes, of := make([]int64, len(conns)), make(map[quota.Asker]int64)
	for i, c := range conns {
		c.mu.Lock()
		if !c.closed && c.ws != nil {
			sizes[i] = c.locked().waiting() + c.remembered.Load()
		}
		c.mu.Unlock()
		of[c.asker] += sizes[i]
	}
	var ofMost int64
	for i, c := range conns {
		if all := of[c.asker]; sizes[i] > 0 && (all > ofMost || all == ofMost && sizes[i] > most) {
			worst, most, ofMost = c, sizes[i], all
		}
	}
	return worst, most
}

// waiting is how many bytes wait to be written, or are being written.
func (c *lockedConn) waiting() int64 {
	n := c.out.Waiting()
	for _, p := range c.writing {
		n += p.Size()
	}
	return n
}
