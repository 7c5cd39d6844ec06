package node

import (
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// memory counts the bytes that the node keeps for its connections: what waits to be written, and what it remembers of
// whom they talk to. What waits for several of them is kept, and counted, once.
type memory struct {
	limit int64
	used  atomic.Int64
}

// packet is what waits for one connection. Its bytes are never written to.
type packet struct {
	data   []byte
	shared *shared // nil: it waits for this connection only
}

// shared counts the connections that a packet waits for.
type shared struct{ left atomic.Int32 }

// share makes a packet for several connections; each of them releases it.
func (m *memory) share(data []byte, count int) packet {
	p := packet{data, &shared{}}
	p.shared.left.Store(int32(count))
	m.used.Add(int64(len(data)))
	return p
}

// keep counts a packet that waits for one connection.
func (m *memory) keep(p packet) {
	if p.shared == nil {
		m.used.Add(int64(len(p.data)))
	}
}

// release is called once for each connection that a packet waited for.
func (m *memory) release(list ...packet) {
	var bytes int64
	for _, p := range list {
		if p.shared == nil || p.shared.left.Add(-1) == 0 {
			bytes += int64(len(p.data))
		}
	}
	m.used.Add(-bytes)
}

func (m *memory) over() bool { return m.limit > 0 && m.used.Load() > m.limit }

// account is what a connection is bounded by.
type account struct {
	from   quota.Source  // whom it is counted by, besides its runtime
	ticket *quota.Ticket // its place at the listener
	budget *rate.Limiter // what its requests may cost
	resume time.Time     // when it is read from again; zero: now. Its reader's
	// frames to runtimes that do not answer, notices of those that were dropped, and frames of runtimes not sent to
	strange, told, visits *rate.Limiter
	remembered            atomic.Int64 // bytes that are kept for it, besides what waits to be written
	reading               reading      // the packet that comes in; its reader's own
}

// remember counts n bytes more, or fewer, that are kept for as long as the connection lives.
func (c *conn) remember(n int) {
	c.remembered.Add(int64(n))
	c.node.memory.used.Add(int64(n))
}

// relieve closes a connection once the node keeps more than it may for all together: of the address that the most is kept for,
// the largest one. So many connections of one address, each of them with little, cost nobody else a place.
func (n *Node) relieve() {
	n.mu.Lock()
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	worst, most := largest(conns)
	if worst == nil {
		return
	}
	n.log.Warn("the node keeps more than it may: its largest connection is closed", "runtime", worst.whose(), "bytes", most, "limit", n.memory.limit)
	worst.kick(websocket.StatusTryAgainLater, "the node needs the memory, and most of it is kept for you or your address")
	worst.forfeit()
}

// largest is the connection that the most is kept for among those of the address that the most is kept for, and how much that
// is; nil where nothing is.
func largest(conns []*conn) (worst *conn, most int64) {
	sizes, of := make([]int64, len(conns)), make(map[quota.Asker]int64)
	for i, c := range conns {
		c.mu.Lock()
		if !c.closed && c.ws != nil {
			sizes[i] = c.waiting() + c.remembered.Load()
		}
		c.mu.Unlock()
		of[c.asker()] += sizes[i]
	}
	var ofMost int64
	for i, c := range conns {
		if all := of[c.asker()]; sizes[i] > 0 && (all > ofMost || all == ofMost && sizes[i] > most) {
			worst, most, ofMost = c, sizes[i], all
		}
	}
	return worst, most
}

// waiting is how many bytes wait to be written, or are being written. c.mu is held.
func (c *conn) waiting() int64 {
	n := c.out.bytes
	for _, p := range c.writing {
		n += p.size()
	}
	return n
}

// forfeit cuts a connection that was kicked, and gives back at once what it kept.
func (c *conn) forfeit() {
	c.mu.Lock()
	c.node.memory.release(c.writing...)
	c.writing = nil // its writer has the packets still, and gives nothing back
	c.mu.Unlock()
	c.node.memory.used.Add(-c.remembered.Swap(0))
	c.cancel() // its writer ends now, whatever blocks it
}
