package bus

import (
	"context"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Route is the Registry's answer to "which way does this message go?".
type Route struct {
	Stub   message.URL // the stub that carries it
	Door   message.URL // the door it leaves by: Stub, or the p2p-connectionUrl of a Handler's connection
	Remote message.URL // the runtime that it is for; "" for a back end of the Message Node
	Direct bool        // a P2P connection, not a relay
	Why    string      // for people: "protofly path" and the trace print it
}

// crossedBy tells whether m has come by the stub, or the door, by which it would leave.
func (r *Route) crossedBy(m *message.Message) bool { return m.Crossed(r.Stub) || m.Crossed(r.Door) }

// Resolver finds the way for a message that has no local listener.
type Resolver interface {
	// Resolve may wait while it looks an address up. The error is a *message.ResponseError where the sender is to get a certain
	// response; any other is answered with 500.
	Resolve(ctx context.Context, m message.Message) (Route, error)
	// TryResolve is Resolve without waiting; [message.ErrWouldBlock].
	TryResolve(m message.Message) (Route, error)
}

// Forwarder takes messages out of the house. They have been validated. The receipt says who tracks a message, if anybody
// does; it is not settled, but what becomes of the message is told to whom it names.
type Forwarder interface {
	// Forward hands m to route. It waits while the way is full.
	Forward(ctx context.Context, route Route, m message.Message, r minibus.Receipt) error
	// TryForward is Forward without waiting; [message.ErrWouldBlock].
	TryForward(route Route, m message.Message, r minibus.Receipt) error
}

// Ways says in advance which way messages go.
type Ways interface {
	// Way is the way of messages from the component owner itself to an address that nobody in this runtime listens to: what
	// Authority, Resolver and Forwarder would do with them. nil: nothing can be said in advance.
	Way(owner, to message.URL) Way
}

// Way is where messages leave the house, again and again. They have been validated, and are not tracked. Its methods may
// be called from many goroutines.
type Way interface {
	// Holds tells whether it is still the way that messages would go.
	Holds() bool
	// Post hands m to the way. It waits while the way is full; [message.ErrBackpressure]. With any other error nothing has
	// happened.
	Post(ctx context.Context, m message.Message) error
	// TryPost is Post without waiting; [message.ErrWouldBlock].
	TryPost(m message.Message) error
}
