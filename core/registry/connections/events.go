package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

// Tick does what is due at now.
func (p *Peers) Tick(now time.Time) {
	p.now = now
	for d, ok := p.agenda.Due(now); ok; d, ok = p.agenda.Due(now) {
		p.happen(d.what, d.c)
	}
}

func (p *Peers) happen(what dueKind, c *Connection) {
	q := c.peer
	switch {
	case what == deadline:
		p.fail(c, "not live within "+p.opts.SetupTimeout.String())
	case what == retire:
		p.want(Disconnect, c)
	case what == endReplaced:
		p.want(EndRequester, c)
	case q.conn != c: // another connection has taken its place since
	case what == renewAgain && c.State == message.Live:
		p.renew(c)
	case what == goOn && c.State == message.Disconnected && c.requested():
		p.consider(q, "")
	case what == goOn && c.State == message.Disconnected:
		q.conn = nil
		p.refreshWay(q)
	}
}

// Suspect says that a live connection does not carry messages although its stub says that it is live (pings may pass where
// data is stuck): it is given up, and set up again as after any other end.
func (p *Peers) Suspect(now time.Time, remote, door message.URL) {
	p.now = now
	c := p.peers[remote].current()
	if c == nil || c.State != message.Live || c.Door != door {
		return
	}
	q := c.peer
	p.want(Disconnect, c)
	p.disconnect(c, "it does not carry messages")
	p.pause(q, max(q.retryAt.Sub(now), p.opts.ReconnectDelay/2)) // the stub must hear "disconnect" before "connect"
}

// Use ends the connection with a remote runtime and sets one up over the named plug-in, or none for the name relay. It
// returns false, and does nothing, if not both sides have the plug-in.
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
