package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Answer is what a Handler is told that reports an invitation.
type Answer uint8

// The answers.
const (
	Accept     Answer = iota // the remote runtime's connection takes the place of what there was
	AcceptKeep               // it does when it is live; until then the live one is kept
	KeepOwn                  // both sides requested at once, and this side's request goes on
)

// glareTail is for how long after this side's own request has succeeded the other side's, which was made before, may arrive.
const glareTail = time.Second

// Invited says that a Handler reports that a remote runtime wants to connect. The connection is made at once, so that the Handler's
// own signalling starts no second set-up.
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
		p.want(Disconnect, old) // the peer comes with another transport now
	}
	p.dropNext(q)
	c := p.begin(q, sdk.RoleHandler, plugin, stub, "")
	p.replace(q, c)
	p.show(c, "")
	return Accept
}

// keepsOwn decides glare: while this side's own request to q goes on, the lower runtime URL stays requester.
func (p *Peers) keepsOwn(q *peer) bool {
	c := q.conn
	if c == nil || !c.requested() || p.opts.Self > q.url {
		return false
	}
	return Pending(c.State) || c.State == message.Live && p.now.Sub(c.Since) < glareTail
}

// HandlerStatus says what a Handler has posted about the connection with one of its peers, other than that it is created. It tells
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
		if c.opening { // the channel died while its door was being opened
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

// open does the specification's "P2P connection registration for the Handler" when a Handler is live: the p2p-connectionUrl is
// generated (step 2), opened (3 to 6), and only then the connection is live (7).
func (p *Peers) open(c *Connection) {
	if c.opening || !mayMove(c.State, message.Live) {
		if !c.opening {
			p.move(c, message.Live, "") // refused, and said so
		}
		return
	}
	c.opening, c.door = true, c.Stub.Join(p.opts.Name())
	p.want(OpenDoor, c)
	p.wants[len(p.wants)-1].Door = c.door
}

// Opened says what came of opening a door.
func (p *Peers) Opened(now time.Time, remote message.URL, number uint64, err error) {
	p.now = now
	c := p.find(remote, number)
	switch {
	case c == nil || !c.opening: // replaced, failed or ended meanwhile
	case err != nil:
		p.fail(c, "the Handler did not open the door: "+err.Error())
	default:
		c.opening, c.Door = false, c.door
		p.promote(c)
		p.move(c, message.Live, "")
		p.live(c)
	}
}
