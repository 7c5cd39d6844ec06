package node

import (
	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

// remember counts n bytes more, or fewer, that are kept for as long as the connection lives.
func (c *conn) remember(n int) {
	c.remembered.Add(int64(n))
	c.node.memory.Add(int64(n))
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
	n.log.Warn("the node keeps more than it may: its largest connection is closed", "runtime", worst.whose(), "bytes", most, "limit", n.memory.Limit)
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
	n := c.out.Waiting()
	for _, p := range c.writing {
		n += p.Size()
	}
	return n
}
