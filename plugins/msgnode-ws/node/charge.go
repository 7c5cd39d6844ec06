package node

import (
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/sdk/message"
)

// charge takes what a request to a function of the node costs from its connection and from its address. The refusal says
// when to try again; then nothing has been done, and nothing taken.
func (n *Node) charge(c *conn, cost int) *refusal.Refusal {
	now := time.Now()
	own := c.budget.ReserveN(now, min(cost, c.budget.Burst()))
	if wait := own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return refusal.TryAgain(wait, "too many requests: this connection may ask for %d units of work a second", n.opts.Limits.Requests)
	}
	if !c.from.IsValid() {
		return nil
	}
	if wait, ok := n.rates.requests.Take(c.from, cost, now); !ok {
		own.CancelAt(now)
		r := refusal.TryAgain(wait, "too many requests from your address: %d units of work a second", n.opts.Limits.AddressRequests)
		r.Pause = refusal.CrowdPause
		return r
	}
	c.holdUp(n.rates.paces.Reserve(c.from, cost, now), now)
	return nil
}

// strikeCost is what something that should not have been sent costs.
const strikeCost = 5

// strike is called by the connection's reader for what should not have been sent: a flood of it is read slowly.
func (c *conn) strike() {
	if r := c.node.charge(c, strikeCost); r != nil {
		c.pause(r.Pause)
	}
}

// pause has the connection not read from for a while. Its reader calls it; others have their turns meanwhile.
func (c *conn) pause(d time.Duration) {
	if d > 0 {
		c.finish()
		wait(c.ctx, d)
	}
}

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

// asker is whom the connection's turns are counted by.
func (c *conn) asker() quota.Asker {
	if c.from.IsValid() {
		return quota.Asker{From: c.from}
	}
	return quota.Asker{Conn: c.id}
}

// begin waits until the node may compute for c, if it may not already; its reader calls it. finish ends that, and may be called when
// it has ended.
func (c *conn) begin() error {
	if c.hasTurn {
		return nil
	}
	err := c.node.turns.Take(c.ctx, c.asker())
	c.hasTurn = err == nil
	return err
}

func (c *conn) finish() {
	if c.hasTurn {
		c.hasTurn = false
		c.node.turns.Give()
	}
}

// refuse answers m with an error, unless it is a response. The reader's turn to compute ends with it: others do not wait
// while this connection is read slowly.
func (n *Node) refuse(c *conn, m message.Message, r *refusal.Refusal) {
	c.finish()
	if m.Type != message.Response {
		c.sendMessage(r.Response(&m))
	}
	c.pause(r.Pause)
}
