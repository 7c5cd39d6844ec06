package bus

import (
	"context"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Route is the Registry's answer to "which way does this message go?".
type Route struct {
	Stub   message.URL // the stub that carries the message
	Door   message.URL // the door it leaves by: Stub, or the p2p-connectionUrl of a Handler's connection
	Remote message.URL // the runtime that it is for; "": a function of the Message Node
	Direct bool        // a P2P connection, not a relay
	Why    string      // the reason, for people: "protofly path" and the trace print it
}

// crossedBy tells whether m has come by the stub, or the door, by which it would leave.
func (r *Route) crossedBy(m *message.Message) bool { return m.Crossed(r.Stub) || m.Crossed(r.Door) }

// Resolver finds the way for a message that has no local listener.
type Resolver interface {
	// Resolve may wait while it looks an address up. A *message.ResponseError becomes the response to the sender; any other
	// error is answered with 500.
	Resolve(ctx context.Context, m message.Message) (Route, error)
	// TryResolve is Resolve, but returns [message.ErrWouldBlock] where Resolve would wait.
	TryResolve(m message.Message) (Route, error)
}

// Forwarder takes messages out of this runtime. They have been validated. The receipt is not to be settled: it names the
// tracker of the message, if it is tracked, which must be told the outcome.
type Forwarder interface {
	// Forward sends m by the route. It waits while the way is full.
	Forward(ctx context.Context, route Route, m message.Message, r minibus.Receipt) error
	// TryForward is Forward, but returns [message.ErrWouldBlock] where Forward would wait.
	TryForward(route Route, m message.Message, r minibus.Receipt) error
}

// Ways finds ways that are valid for many messages.
type Ways interface {
	// Way returns the way of messages from the component owner itself to an address that nobody in this runtime listens to:
	// by it they go as Authority, Resolver and Forwarder would have them go. nil: there is no such way.
	Way(owner, to message.URL) Way
}

// Way takes messages out of this runtime, again and again. They have been validated, and are not tracked. Its methods may be
// called from many goroutines.
type Way interface {
	// Holds tells whether the messages would still go this way.
	Holds() bool
	// Post sends m. It waits while the way is full; [message.ErrBackpressure]. With any other error nothing has happened.
	Post(ctx context.Context, m message.Message) error
	// TryPost is Post, but returns [message.ErrWouldBlock] where Post would wait.
	TryPost(m message.Message) error
}
