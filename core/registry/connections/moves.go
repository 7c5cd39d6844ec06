package connections

import (
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	// retireAfter is the time from the new connection's live to the closing of the old one. On the other side the new one may
	// be live a little later, and until then that side sends by the old one.
	retireAfter = time.Second
	forgetAfter = 700 * time.Millisecond // from the closing to the end of the old one's Requester
)

// begin makes a connection in the state created.
func (p *Peers) begin(q *peer, role sdk.Role, plugin string, stub, handler message.URL) *Connection {
	p.numbers++
	c := &Connection{Number: p.numbers, Remote: q.url, peer: q, Plugin: plugin, Role: role, Stub: stub, Handler: handler,
		State: message.Created, Since: p.now, Attempts: 1}
	if q.conn != nil {
		c.Attempts = q.conn.Attempts + 1
	}
	c.deadline = p.after(p.opts.SetupTimeout, deadline, c)
	return c
}

// replace makes a connection the current one.
func (p *Peers) replace(q *peer, c *Connection) {
	p.dropNext(q)
	if old := q.conn; old != nil {
		p.agenda.Cancel(old.deadline)
		p.closeDoor(old)
	}
	q.conn = c
}

// dropNext forgets the current connection's successor.
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

// promote makes a live connection's successor the current connection; for any other connection it does nothing. The old one's
// Requester ends a little later, when what is under way has arrived. Where this side is the handler, the other side closes
// the old one.
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
		p.after(retireAfter, retire, old)
		p.after(retireAfter+forgetAfter, endReplaced, old)
	}
}

// show has c's state published, after the way was changed to agree with it: a message that is sent because of the state takes
// that way.
func (p *Peers) show(c *Connection, desc string) {
	if c.peer.conn == c {
		p.refreshWay(c.peer)
	}
	p.wantWith(ShowState, c, desc)
}

// move is the only function that changes a connection's state. A repeated state changes nothing; an illegal move is refused
// and reported.
func (p *Peers) move(c *Connection, to message.Status, desc string) bool {
	if c.State == to {
		return false
	}
	if !mayMove(c.State, to) {
		p.want(SayIllegal, c)
		p.wants[len(p.wants)-1].Err = &MoveError{Remote: c.Remote, From: c.State, To: to}
		return false
	}
	c.State, c.Since, c.Desc = to, p.now, desc
	if to == message.Live || to == message.Failed {
		p.agenda.Cancel(c.deadline)
	}
	p.show(c, desc)
	return true
}

// closeDoor closes c's door, if it is open.
func (p *Peers) closeDoor(c *Connection) {
	if c.door != "" {
		p.wants = append(p.wants, Want{Kind: CloseDoor, Remote: c.Remote, Door: c.door})
		c.door = ""
	}
}
