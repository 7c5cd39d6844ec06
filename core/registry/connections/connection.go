package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/core/registry/loop"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Connection is a P2P connection, or an attempt at one.
type Connection struct {
	Number   uint64
	Remote   message.URL
	Plugin   string
	Role     sdk.Role    // of the stub at this side
	Stub     message.URL // on this side
	Handler  message.URL // of a Requester: the other side's Handler
	Door     message.URL // "" until it is live
	State    message.Status
	Since    time.Time // in this state
	Attempts int       // the number of this attempt with the remote runtime, from 1
	Desc     string    // the reason for the state, if the stub has given one

	peer     *peer
	door     message.URL      // of a Handler: the door that is open, or being opened
	opening  bool             // the Handler is live, and its door is being opened
	deadline *loop.Entry[due] // of the set-up
	renew    bool             // renew it as soon as it is live
	renewals int              // failed renewals in a row
}

// requested tells whether this side has requested the connection.
func (c *Connection) requested() bool { return c.Role == sdk.RoleRequester }

// peer is one remote runtime.
type peer struct {
	url      message.URL
	handlers []directory.Handler // that it offers, by its Domain Registry entry
	readAt   time.Time           // when that entry was read last
	conn     *Connection         // the current one, or nil
	next     *Connection         // is being set up to replace conn, which is live until then; or nil
	keepTill time.Time           // the other side renews the connection: until then its invitation replaces nothing
	choice   int                 // index of the usable Handler that is tried next
	failures int                 // failed attempts in a row
	retryAt  time.Time           // no new attempt before
}

// both returns the two connections of q. q may be nil, and so may each of them.
func (q *peer) both() [2]*Connection {
	if q == nil {
		return [2]*Connection{}
	}
	return [2]*Connection{q.conn, q.next}
}

// current returns q's current connection. q may be nil, and so may the connection.
func (q *peer) current() *Connection { return q.both()[0] }

// meant returns the connection that a Handler's status is about, of two: until the new one is live only the old one can
// become disconnected.
func (q *peer) meant(state message.Status) *Connection {
	if q == nil {
		return nil
	}
	if n := q.next; n != nil && (state != message.Disconnected || n.opening) {
		return n
	}
	return q.conn
}

// due is what is to happen to a connection at a time.
type due struct {
	what dueKind
	c    *Connection
}

type dueKind uint8

const (
	deadline    dueKind = iota // its set-up takes too long
	goOn                       // it has been disconnected for a while
	renewAgain                 // its renewal has failed a moment ago
	retire                     // its successor is live: end it
	endReplaced                // then end its Requester
)
