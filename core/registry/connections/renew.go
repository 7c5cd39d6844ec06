package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
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

// Kept says that the other side was asked to keep the live connection, whatever it said: where it does not keep it the invitation is
// like any other, and the connection breaks before it is new.
func (p *Peers) Kept(now time.Time, remote message.URL, number uint64) {
	p.now = now
	if c := p.find(remote, number); c != nil {
		p.want(Deploy, c)
	}
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
