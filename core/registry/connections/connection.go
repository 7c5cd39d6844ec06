package connections

import (
	"time"

	"github.com/protofly/protofly/core/registry/directory"
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
	door     message.URL      // a Handler's: is open, or being opened
	opening  bool             // the Handler is live, and its door is being opened
	deadline *loop.Entry[due] // of the set-up
	renew    bool             // as soon as it is live it is to be renewed
	renewals int              // that have failed in a row
}

// requested tells whether this side has requested the connection.
func (c *Connection) requested() bool { return c.Role == sdk.RoleRequester }

// peer is one remote runtime.
type peer struct {
	url      message.URL
	handlers []directory.Handler // what it offers, as the Domain Registry says
	readAt   time.Time           // when the Domain Registry last said so
	conn     *Connection         // the current one, or nil
	next     *Connection         // is set up to take the place of conn, which is live until then; or nil
	keepTill time.Time           // the other side renews the connection: until then its invitation replaces nothing
	choice   int                 // which of the usable Handlers is tried next
	failures int                 // in a row
	retryAt  time.Time           // no new try before
}

// both are the connections of q, which may be nil, as each of them may.
func (q *peer) both() [2]*Connection {
	if q == nil {
		return [2]*Connection{}
	}
	return [2]*Connection{q.conn, q.next}
}

// current is the current connection of q, which may be nil, as the connection may.
func (q *peer) current() *Connection { return q.both()[0] }

// meant is which of the two connections a Handler's status is about: until the new one is live the old one is the only
// that can be disconnected.
func (q *peer) meant(state message.Status) *Connection {
	if q == nil {
		return nil
	}
	if n := q.next; n != nil && (state != message.Disconnected || n.opening) {
		return n
	}
	return q.conn
}

// due is what is to happen with a connection at a time.
type due struct {
	what dueKind
	c    *Connection
}

type dueKind uint8

const (
	deadline    dueKind = iota // its set-up has taken too long
	goOn                       // it has been disconnected for a while
	renewAgain                 // its renewal has failed a moment ago
	retire                     // its successor is live: it is ended
	endReplaced                // and so is its Requester
)
