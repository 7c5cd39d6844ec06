package node

import (
	"context"
	"time"
)

// What an address may ask for at once is ten seconds' worth, for a runtime that connects with all that it has. Computed as fast
// as it can be read that would take all processors for most of a second: from the node, and from the runtime that the address
// sends its messages to. So an address gets it at a pace: its connections are not read from while it is ahead of that. Nothing
// is refused for it.
const (
	paceRate  = 4                      // times what an address may ask for in a second
	paceBurst = 16                     // the part of a second's worth that it gets at once
	leastOwed = time.Millisecond       // that a connection is not read from: timers are no finer
	mostOwed  = 500 * time.Millisecond // whatever other connections of its address owe
)

// owe notes that the connection's address has got what it was to get after wait only. Its reader calls it.
func (c *conn) owe(wait time.Duration, now time.Time) {
	if wait > leastOwed {
		c.paid = now.Add(min(wait, mostOwed))
	}
}

// ahead tells whether the connection is to be read from later, and for how long it is not. Its reader calls it.
func (c *conn) ahead() (time.Duration, bool) {
	if c.paid.IsZero() {
		return 0, false
	}
	wait := time.Until(c.paid)
	c.paid = time.Time{}
	return wait, wait > 0
}

// ease has the connection not read from while its address is ahead of its pace. Its reader calls it after each request.
func (c *conn) ease() {
	if d, ok := c.ahead(); ok {
		c.pause(d)
	}
}

// easeHandshake waits until an address may have one more WebSocket made.
func (n *Node) easeHandshake(ctx context.Context, from source) {
	if d := n.rates.paces.owe(from, handshakePrice, time.Now()); d > leastOwed {
		wait(ctx, min(d, mostOwed))
	}
}
