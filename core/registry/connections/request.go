package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Consider starts a set-up with a remote runtime, or has its Requester asked to connect again, if the time has come. to is an
// address there that a message goes to, or "".
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

// HandlersRead says that what a remote runtime offers has been read, and that Offered has been told.
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

// requester is the address of a new Requester.
func (p *Peers) requester() message.URL { return p.opts.Self.Join("p2prequester", p.opts.Name()) }

// NotDeployed says that a Requester could not be deployed.
func (p *Peers) NotDeployed(now time.Time, remote message.URL, number uint64, err error) {
	p.now = now
	if c := p.find(remote, number); c != nil {
		p.fail(c, "the Requester was not deployed: "+err.Error())
	}
}

// reconnect has a Requester whose connection is disconnected asked to connect again. It is a whole new set-up, so it is a
// new connection.
func (p *Peers) reconnect(old *Connection) {
	q := old.peer
	p.dropNext(q)
	c := p.begin(q, sdk.RoleRequester, old.Plugin, old.Stub, old.Handler)
	p.replace(q, c)
	p.show(c, "reconnect")
	p.want(Reconnect, c)
}

// Waits tells whether a Requester that is to connect again has not begun to.
func (p *Peers) Waits(remote message.URL, number uint64) bool {
	q := p.peers[remote]
	return q != nil && q.conn != nil && q.conn.Number == number && q.conn.State == message.Created
}

// RequesterStatus says what a Requester has posted about its connection. It tells whether there is such a connection.
func (p *Peers) RequesterStatus(now time.Time, remote, stub message.URL, state message.Status, desc string) bool {
	p.now = now
	var c *Connection
	for _, one := range p.peers[remote].both() {
		if one != nil && one.requested() && one.Stub == stub {
			c = one
		}
	}
	if c == nil {
		return false
	}
	switch state {
	case message.Live:
		if mayMove(c.State, message.Live) {
			c.Door = c.Stub
			p.promote(c)
		}
		if p.move(c, message.Live, desc) {
			p.live(c)
		}
	case message.Failed:
		p.fail(c, desc)
	case message.Disconnected:
		p.disconnect(c, desc)
	default:
		p.move(c, state, desc)
	}
	return true
}

// Suspect says that a live connection does not carry messages although its stub has it live (pings may pass where data is stuck): it
// is given up, and set up again as after any other end.
func (p *Peers) Suspect(now time.Time, remote, door message.URL) {
	p.now = now
	c := p.peers[remote].current()
	if c == nil || c.State != message.Live || c.Door != door {
		return
	}
	q := c.peer
	p.want(Disconnect, c)
	p.disconnect(c, "it does not carry messages")
	p.pause(q, max(q.retryAt.Sub(now), p.opts.ReconnectDelay/2)) // the stub hears "disconnect" before "connect"
}

// Use ends what there is with a remote runtime and sets up a connection over the named plug-in; relay is the name of none. It
// tells whether it does: both sides must have the plug-in.
func (p *Peers) Use(now time.Time, remote message.URL, name, relay string) bool {
	q := p.at(now, remote)
	var chosen *directory.Handler
	for _, h := range p.usable(q) {
		if h.Name == name {
			chosen = &h
		}
	}
	if chosen == nil && name != relay || p.opts.Passive {
		return false
	}
	if c := q.conn; c != nil {
		switch {
		case c.State == message.Live:
			p.disconnect(c, "as commanded")
		case Pending(c.State):
			p.fail(c, "as commanded")
		}
		if c.requested() {
			p.want(EndRequester, c)
		} else {
			p.want(Disconnect, c)
		}
	}
	if chosen != nil {
		p.setUp(q, *chosen)
	}
	return true
}
