package bus

import (
	"context"

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

// Resolver finds the way for a message that has no local listener. It may block while it looks an address up. The
// error is a *message.ResponseError where the sender is to get a certain response; any other is answered with 500.
type Resolver interface {
	Resolve(ctx context.Context, m message.Message) (Route, error)
}

// Forwarder takes messages out of the house.
type Forwarder interface {
	// Forward hands m to route. It blocks while the way is full.
	Forward(ctx context.Context, route Route, m message.Message) error
}
