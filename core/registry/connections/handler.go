package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Answer is the answer to a Handler that reports an invitation.
type Answer uint8

// The answers.
const (
	Accept     Answer = iota // the invited connection replaces the current one at once
	AcceptKeep               // the invited connection replaces the live one when it is live itself
	KeepOwn                  // both sides requested at once, and this side's request goes on
)

// glareTail is how long after this side's own request has succeeded a request of the other side that was made before may
// still arrive.
const glareTail = time.Second

// Invited says that a Handler has reported that a remote runtime wants to connect. The connection is made at once, so that
// the Handler's own signalling starts no second set-up.
func (p *Peers) Invited(now time.Time, remote, stub message.URL, plugin string) Answer {
	q := p.at(now, remote)
	if p.keepsOwn(q) {
		return KeepOwn
	}
	old := q.conn
	if old != nil && !old.requested() && old.Stub == stub && old.State == message.Live && now.Before(q.keepTill) {
		p.dropNext(q)
		q.next, q.keepTill = p.begin(q, sdk.RoleHandler, plugin, stub, ""), time.Time{}
		p.show(q.next, "")
		return AcceptKeep
	}
	if old != nil && old.requested() {
		p.want(EndRequester, old)
	} else if old != nil && old.Stub != stub && (Pending(old.State) || old.State == message.Live) {
		p.want(Disconnect, old) // the other side uses another transport now
	}
	p.dropNext(q)
	c := p.begin(q, sdk.RoleHandler, plugin, stub, "")
	p.replace(q, c)
	p.show(c, "")
	return Accept
}

// keepsOwn decides glare: while this side's own request to q goes on, the side with the lower runtime URL stays requester.
func (p *Peers) keepsOwn(q *peer) bool {
	c := q.conn
	if c == nil || !c.requested() || p.opts.Self > q.url {
		return false
	}
	return Pending(c.State) || c.State == message.Live && p.now.Sub(c.Since) < glareTail
}

// HandlerStatus says that a Handler has posted a state, other than created, of the connection with a remote runtime. It tells
// whether there is such a connection.
func (p *Peers) HandlerStatus(now time.Time, remote, stub message.URL, state message.Status, desc string) bool {
	p.now = now
	c := p.peers[remote].meant(state)
	if c == nil || c.Stub != stub {
		return false
	}
	switch state {
	case message.Live:
		p.open(c)
	case message.Failed:
		p.fail(c, desc)
	case message.Disconnected:
		if c.opening { // the channel ended while its door was being opened
			c.opening = false
			p.fail(c, desc)
		} else {
			p.disconnect(c, desc)
		}
	default:
		p.move(c, state, desc)
	}
	return true
}

// open begins the specification's "P2P connection registration for the Handler" when a Handler is live: the p2p-connectionUrl
// is generated (step 2) and opened (3 to 6); then the connection is live (7).
func (p *Peers) open(c *Connection) {
	if c.opening || !mayMove(c.State, message.Live) {
		if !c.opening {
			p.move(c, message.Live, "") // move refuses it, and says so
		}
		return
	}
	c.opening, c.door = true, c.Stub.Join(p.opts.Name())
	p.want(OpenDoor, c)
	p.wants[len(p.wants)-1].Door = c.door
}

// Opened says how the opening of a door has ended.
func (p *Peers) Opened(now time.Time, remote message.URL, number uint64, err error) {
	p.now = now
	c := p.find(remote, number)
	switch {
	case c == nil || !c.opening: // it was replaced, or has failed or ended, before the answer came
	case err != nil:
		p.fail(c, "the Handler did not open the door: "+err.Error())
	default:
		c.opening, c.Door = false, c.door
		p.promote(c)
		p.move(c, message.Live, "")
		p.live(c)
	}
}
