package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Renew has every connection of a plug-in set up again, because the plug-in's process is to end. A live connection carries
// messages until its successor is live.
func (p *Peers) Renew(now time.Time, plugin string) {
	p.now = now
	for _, q := range p.peers {
		if q.conn != nil && q.conn.Plugin == plugin {
			p.renew(q.conn)
		}
	}
}

// RenewAsked says that the other side asks this one to renew their connection. It tells whether there is a connection that
// this side renews.
func (p *Peers) RenewAsked(now time.Time, remote message.URL) bool {
	p.now = now
	c := p.peers[remote].current()
	if c == nil || !c.requested() || c.State != message.Live && !Pending(c.State) {
		return false
	}
	p.renew(c)
	return true
}

// KeepAsked says that the other side's next invitation renews their connection. It tells whether there is a live connection
// to keep until then.
func (p *Peers) KeepAsked(now time.Time, remote message.URL) bool {
	c := p.peers[remote].current()
	if c == nil || c.requested() || c.State != message.Live {
		return false
	}
	c.peer.keepTill = now.Add(p.opts.SetupTimeout)
	return true
}

// Kept says that the other side has answered the request to keep the live connection, or has not. If it does not keep it, the
// invitation is like any other, and the connection breaks before the new one is live.
func (p *Peers) Kept(now time.Time, remote message.URL, number uint64) {
	p.now = now
	if c := p.find(remote, number); c != nil {
		p.want(Deploy, c)
	}
}

// renew sets a live connection up again beside itself; one that is being set up is renewed when it is live. The side that
// requested the connection does so again: this causes no glare, and what worked in that direction before is likely to work
// again.
func (p *Peers) renew(c *Connection) {
	q := c.peer
	switch {
	case Pending(c.State):
		c.renew = true
	case c.State != message.Live:
	case !c.requested():
		p.want(AskRenewal, c)
	case q.next != nil:
		q.next.renew = true // its set-up may have begun before this renewal was wanted
	default:
		q.next = p.begin(q, sdk.RoleRequester, c.Plugin, p.requester(), c.Handler)
		p.want(AddRequester, q.next)
		p.show(q.next, "")
		p.want(Keep, q.next)
	}
}
