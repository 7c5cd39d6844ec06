package node

import (
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

// What an address may ask for at once is ten seconds' worth, for a runtime that connects with all that it has. Computed as fast
// as it can be read that takes all processors for most of a second, of the node and of the runtime that messages are for. So
// an address gets it at a pace: connections that have asked for more are not read from for a while. Nothing is refused for that.
const (
	paceRate  = 4                      // times what an address may ask for in a second
	paceBurst = 16                     // the part of a second's worth that it gets without a pause
	leastWait = time.Millisecond       // for which a connection is not read from: timers are not much finer
	mostWait  = 500 * time.Millisecond // the same, however much other connections of its address have asked for
)

// holdUp notes for how long the connection is not to be read from. Its reader calls it.
func (c *conn) holdUp(wait time.Duration, now time.Time) {
	if wait > leastWait {
		c.resume = now.Add(min(wait, mostWait))
	}
}

// heldUp is for how long the connection is not to be read from, the first time that it is called after holdUp. Its reader
// calls it.
func (c *conn) heldUp() time.Duration {
	if c.resume.IsZero() {
		return 0
	}
	wait := time.Until(c.resume)
	c.resume = time.Time{}
	return wait
}

// keepPace pauses where the connection is not to be read from. Its reader calls it after each request.
func (c *conn) keepPace() { c.pause(c.heldUp()) }

// paceHandshake waits until an address may have one more handshake, of TLS or of a WebSocket.
func (n *Node) paceHandshake(from quota.Source) {
	if !from.IsValid() {
		return
	}
	if d := n.rates.paces.Reserve(from, handshakePrice, time.Now()); d > leastWait {
		wait(n.ctx, min(d, mostWait))
	}
}
