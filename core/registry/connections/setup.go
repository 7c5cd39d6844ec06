package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Consider starts a set-up with a remote runtime, or has its Requester asked to connect again, unless a pause goes on. to is
// the address of the message that causes it, or "".
func (p *Peers) Consider(now time.Time, remote, to message.URL) { p.consider(p.at(now, remote), to) }

func (p *Peers) consider(q *peer, to message.URL) {
	if p.now.Before(q.retryAt) || p.opts.Commanded {
		return
	}
	c := q.conn
	switch {
	case !p.opts.Connects(q.url):
		p.pause(q, p.opts.MaxBackoff)
	case c == nil || c.State == message.Failed || c.State == message.Disconnected && !c.requested():
		usable := p.usable(q)
		switch {
		case len(usable) > 0 && !p.opts.Passive:
			p.setUp(q, usable[q.choice%len(usable)])
		case len(q.handlers) == 0 && to.Scheme() == message.SchemeHyperty && p.now.Sub(q.readAt) > p.opts.MaxBackoff:
			p.pause(q, p.opts.MaxBackoff)
			p.wants = append(p.wants, Want{Kind: ReadHandlers, Remote: q.url, To: to})
		default:
			p.pause(q, p.opts.MaxBackoff)
		}
	case c.State == message.Disconnected:
		p.reconnect(c)
	}
}

// HandlersRead says that the entry with a remote runtime's Handlers has been read, and Offered has been called.
func (p *Peers) HandlersRead(now time.Time, remote message.URL) {
	p.now = now
	if q := p.peers[remote]; q != nil && len(p.usable(q)) > 0 {
		p.pause(q, 0)
	}
}

// setUp has a Requester deployed for one of q's Handlers.
func (p *Peers) setUp(q *peer, h directory.Handler) {
	p.dropNext(q)
	c := p.begin(q, sdk.RoleRequester, h.Name, p.requester(), h.URL)
	p.replace(q, c)
	p.want(AddRequester, c)
	p.show(c, "")
	p.want(Deploy, c)
}

// requester makes the address of a new Requester.
func (p *Peers) requester() message.URL { return p.opts.Self.Join("p2prequester", p.opts.Name()) }

// reconnect has the Requester of a disconnected connection asked to connect again. That is a whole set-up, so it is a new
// connection.
func (p *Peers) reconnect(old *Connection) {
	q := old.peer
	p.dropNext(q)
	c := p.begin(q, sdk.RoleRequester, old.Plugin, old.Stub, old.Handler)
	p.replace(q, c)
	p.show(c, "reconnect")
	p.want(Reconnect, c)
}
