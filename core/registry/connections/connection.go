package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Connection is a P2P connection, or a try at one.
type Connection struct {
	Number   uint64
	Remote   message.URL
	Plugin   string
	Role     sdk.Role    // of the stub at this side
	Stub     message.URL // at this side
	Handler  message.URL // a Requester's: the other side's Handler
	Door     message.URL // "" until it is live
	State    message.Status
	Since    time.Time // in this state
	Attempts int       // which try with this remote runtime it is, from 1
	Desc     string    // why, where the stub said so

	peer     *peer
	door     message.URL       // a Handler's: is open, or being opened
	opening  bool              // the Handler is live, and its door is being opened
	deadline *loop.Appointment // of the set-up
	renew    bool              // as soon as it is live it is to be renewed
	renewals int               // that have failed in a row
}

// requested tells whether this side has requested the connection.
func (c *Connection) requested() bool { return c.Role == sdk.RoleRequester }

// begin makes a connection that is to be set up.
func (p *Peers) begin(q *peer, role sdk.Role, plugin string, stub, handler message.URL) *Connection {
	p.numbers++
	c := &Connection{Number: p.numbers, Remote: q.url, peer: q, Plugin: plugin, Role: role, Stub: stub, Handler: handler,
		State: message.Created, Since: p.now, Attempts: 1}
	if q.conn != nil {
		c.Attempts = q.conn.Attempts + 1
	}
	c.deadline = p.after(p.opts.SetupTimeout, func() {
		p.fail(c, "not live within "+p.opts.SetupTimeout.String())
	})
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

// show has everybody see c's state.
func (p *Peers) show(c *Connection, desc string) {
	p.wantWith(ShowState, c, desc)
	if c.peer.conn == c {
		p.refreshWay(c.peer)
	}
}

// move is the one place where a connection changes its state. A repeated state changes nothing; an illegal move is refused and
// said.
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

// live is what follows when a connection has become live.
func (p *Peers) live(c *Connection) {
	q := c.peer
	q.choice = 0
	q.retryAt = time.Time{}
	p.refreshWay(q)
	p.want(Began, c)
	if c.renew {
		c.renew = false
		p.renew(c)
	}
}

// closeDoor closes the door, if it is open.
func (p *Peers) closeDoor(c *Connection) {
	if c.door != "" {
		p.wants = append(p.wants, Want{Kind: CloseDoor, Remote: c.Remote, Door: c.door})
		c.door = ""
	}
}

const flapTime = time.Second // a connection that was live for less was not worth its set-up: it counts as unstable

// disconnect is the end of a live connection. A Requester is asked to connect again: by the next message, or soon
// anyway; one that keeps failing soon after it was live waits longer each time. A Handler's connection waits a moment for
// the Requester of the other side, and goes.
func (p *Peers) disconnect(c *Connection, desc string) {
	lived, q := p.now.Sub(c.Since), c.peer
	if c.State != message.Live {
		p.move(c, message.Disconnected, desc) // refused, and said so
		return
	}
	if q.next != nil && q.conn == c { // what is being set up to follow it is the connection now
		p.move(c, message.Disconnected, desc)
		p.promote(q.next)
		p.refreshWay(q)
		return
	}
	q.retryAt = time.Time{}
	if lived < flapTime {
		q.failures++
	} else {
		q.failures = 0
	}
	pause := p.opts.Jitter(p.opts.ReconnectDelay)
	if !c.requested() {
		pause = p.opts.HandlerGrace
		q.retryAt = p.now.Add(pause)
	} else if q.failures > 1 {
		pause = p.opts.Jitter(p.opts.Pause(q.failures - 1))
		q.retryAt = p.now.Add(pause)
	}
	p.closeDoor(c)
	p.move(c, message.Disconnected, desc)
	p.want(Ended, c)
	p.after(pause, func() {
		if q.conn != c || c.State != message.Disconnected {
			return
		}
		if !c.requested() {
			q.conn = nil
			p.refreshWay(q)
			return
		}
		p.consider(q, "")
	})
}

// fail ends a set-up. The next transport is tried at once; when all have failed, a message starts again from the first
// when the pause is over.
func (p *Peers) fail(c *Connection, desc string) {
	q := c.peer
	if q.next == c {
		p.failNext(c, desc)
		return
	}
	if q.conn != c || !p.move(c, message.Failed, desc) {
		return
	}
	c.opening = false
	p.closeDoor(c)
	p.want(Ended, c)
	p.wantWith(SayFailed, c, desc)
	if !c.requested() {
		p.want(Disconnect, c)
		p.pause(q, p.opts.HandlerGrace)
		return
	}
	p.want(EndRequester, c)
	q.choice++
	if q.choice < len(p.usable(q)) {
		q.retryAt = time.Time{}
		p.consider(q, "")
		return
	}
	q.choice = 0
	q.failures++
	p.pause(q, p.opts.Jitter(p.opts.Pause(q.failures)))
}
