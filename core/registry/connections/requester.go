package connections

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// RequesterStatus says that a Requester has posted a state of its connection. It tells whether there is such a connection.
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

// NotDeployed says that a Requester could not be deployed.
func (p *Peers) NotDeployed(now time.Time, remote message.URL, number uint64, err error) {
	p.now = now
	if c := p.find(remote, number); c != nil {
		p.fail(c, "the Requester was not deployed: "+err.Error())
	}
}

// Waits tells whether a Requester that was asked to connect again has not begun yet.
func (p *Peers) Waits(remote message.URL, number uint64) bool {
	q := p.peers[remote]
	return q != nil && q.conn != nil && q.conn.Number == number && q.conn.State == message.Created
}
