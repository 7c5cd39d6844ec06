package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	// retireAfter is between the new connection's live and the closing of the old one: the other side's may be live a
	// little later, and until then it sends by the old one.
	retireAfter = time.Second
	forgetAfter = 700 * time.Millisecond // between that and the end of its Requester
	maxRenewals = 3                      // tries
)

// Renew has every connection over a plug-in set up again, because the process that carries them is to end. A live
// one carries messages until its successor is live.
func (p *Peers) Renew(now time.Time, plugin string) {
	p.now = now
	for _, q := range p.peers {
		if q.conn != nil && q.conn.Plugin == plugin {
			p.renew(q.conn)
		}
	}
}

// RenewAsked says that the other side wants the connection with it renewed. It tells whether there is one that this side renews.
func (p *Peers) RenewAsked(now time.Time, remote message.URL) bool {
	p.now = now
	c := p.peers[remote].current()
	if c == nil || !c.requested() || c.State != message.Live && !Pending(c.State) {
		return false
	}
	p.renew(c)
	return true
}

// KeepAsked says that the other side's next invitation renews the connection with it. It tells whether there is one to keep until
// then.
func (p *Peers) KeepAsked(now time.Time, remote message.URL) bool {
	c := p.peers[remote].current()
	if c == nil || c.requested() || c.State != message.Live {
		return false
	}
	c.peer.keepTill = now.Add(p.opts.SetupTimeout)
	return true
}

// renew sets a connection up again beside it; one that is being set up, when it is live. The side that requested it
// does so again: no glare can come of it, and what worked in that direction before is likely to work again.
func (p *Peers) renew(c *Connection) {
	q := c.peer
	switch {
	case Pending(c.State):
		c.renew = true
	case c.State != message.Live:
	case !c.requested():
		p.want(AskRenewal, c)
	case q.next != nil:
		q.next.renew = true // it may have been made before there was a reason to
	default:
		q.next = p.begin(q, sdk.RoleRequester, c.Plugin, p.requester(), c.Handler)
		p.want(AddRequester, q.next)
		p.show(q.next, "")
		p.want(Keep, q.next)
	}
}

// Kept says that the other side was asked to keep the live connection, whatever it said: where it does not keep it the invitation is
// like any other, and the connection breaks before it is new.
func (p *Peers) Kept(now time.Time, remote message.URL, number uint64) {
	p.now = now
	if c := p.find(remote, number); c != nil {
		p.want(Deploy, c)
	}
}

// promote makes the connection that is to follow the live one the current one; any other it leaves alone. The old
// one's Requester is ended when what is under way has arrived; where this side is the handler, the other side closes
// it.
func (p *Peers) promote(c *Connection) {
	q := c.peer
	if q.next != c {
		return
	}
	old := q.conn
	q.conn, q.next = c, nil
	if old == nil {
		return
	}
	p.agenda.Cancel(old.deadline)
	p.closeDoor(old)
	if old.requested() {
		p.after(retireAfter, func() { p.want(Disconnect, old) })
		p.after(retireAfter+forgetAfter, func() { p.want(EndRequester, old) })
	}
}

// failNext ends the set-up of a connection that was to follow a live one, which goes on.
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
		p.after(p.opts.Jitter(p.opts.ReconnectDelay), func() {
			if q.conn == c && c.State == message.Live {
				p.renew(c)
			}
		})
	}
}

// dropNext forgets the connection that was to follow the current one.
func (p *Peers) dropNext(q *peer) {
	n := q.next
	if n == nil {
		return
	}
	q.next = nil
	n.opening = false
	p.agenda.Cancel(n.deadline)
	p.closeDoor(n)
	if n.requested() {
		p.want(EndRequester, n)
	}
}
