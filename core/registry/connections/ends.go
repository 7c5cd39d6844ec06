package connections

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const flapTime = time.Second // a connection that was live for a shorter time counts as unstable

const maxRenewals = 3 // attempts

// live does what follows when a connection has become live.
func (p *Peers) live(c *Connection) {
	q := c.peer
	q.choice = 0
	q.retryAt = time.Time{}
	p.refreshWay(q)
	p.want(Began, c)
	if c.renew {
		c.renew = false
		p.renew(c)
	}
}

// disconnect handles the end of a live connection. Its Requester is asked to connect again: when the next message comes, or
// after a short pause; if the connection keeps ending soon after it was live, the pause grows. A Handler's connection waits
// for the other side's Requester for a moment, and is then forgotten.
func (p *Peers) disconnect(c *Connection, desc string) {
	lived, q := p.now.Sub(c.Since), c.peer
	if c.State != message.Live {
		p.move(c, message.Disconnected, desc) // move refuses it, and says so
		return
	}
	if q.next != nil && q.conn == c { // the connection that is being set up as its successor takes its place
		p.move(c, message.Disconnected, desc)
		p.promote(q.next)
		p.refreshWay(q)
		return
	}
	q.retryAt = time.Time{}
	if lived < flapTime {
		q.failures++
	} else {
		q.failures = 0
	}
	pause := p.opts.Jitter(p.opts.ReconnectDelay)
	if !c.requested() {
		pause = p.opts.HandlerGrace
		q.retryAt = p.now.Add(pause)
	} else if q.failures > 1 {
		pause = p.opts.Pause(q.failures - 1)
		q.retryAt = p.now.Add(pause)
	}
	p.closeDoor(c)
	p.move(c, message.Disconnected, desc)
	p.want(Ended, c)
	p.after(pause, goOn, c)
}

// fail ends a set-up. The next transport is tried at once. When all have failed, there is a pause, and the next message
// starts with the first transport again.
func (p *Peers) fail(c *Connection, desc string) {
	q := c.peer
	if q.next == c {
		p.failNext(c, desc)
		return
	}
	if q.conn != c || !p.move(c, message.Failed, desc) {
		return
	}
	c.opening = false
	p.closeDoor(c)
	p.want(Ended, c)
	p.wantWith(SayFailed, c, desc)
	if !c.requested() {
		p.want(Disconnect, c)
		p.pause(q, p.opts.HandlerGrace)
		return
	}
	p.want(EndRequester, c)
	q.choice++
	if q.choice < len(p.usable(q)) {
		q.retryAt = time.Time{}
		p.consider(q, "")
		return
	}
	q.choice = 0
	q.failures++
	p.pause(q, p.opts.Pause(q.failures))
}

// failNext ends the set-up of a live connection's successor; the live connection goes on.
func (p *Peers) failNext(n *Connection, desc string) {
	q := n.peer
	if !p.move(n, message.Failed, desc) {
		return
	}
	p.dropNext(q)
	p.wantWith(SayNotRenewed, n, desc)
	c := q.conn
	if c == nil || !c.requested() {
		return
	}
	if c.renewals++; c.renewals < maxRenewals {
		p.after(p.opts.Jitter(p.opts.ReconnectDelay), renewAgain, c)
	}
}
