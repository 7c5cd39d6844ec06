// Package trace tells watchers what the core does, step by step. Watchers are the command `protofly trace`, the quickstart, and
// tests. An event is made where it happens, after it has happened. Without a watcher an event costs one atomic load. An event has
// the body of its message only where the watcher asks for it, because a body is as secret as the session that carries it.
package trace

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Kind is what happened.
type Kind string

// The kinds of events. From, To, Type and ID are those of the message, in events about one.
const (
	Post       Kind = "post"       // a component of this runtime posted a message on the MessageBus
	Arrive     Kind = "arrive"     // a message came in from the runtime Peer, whose last frame came by the door Via
	Deliver    Kind = "deliver"    // the MessageBus gave a message to a listener of this runtime
	Resolve    Kind = "resolve"    // the MessageBus asks the Registry for the route to To
	Resolved   Kind = "resolved"   // the Registry answered: the route's stub or door is Via, the reason is Value
	Forward    Kind = "forward"    // the MessageBus gave a message to the stub or door Via
	Frame      Kind = "frame"      // a frame for Peer was given to the door Via; its hash is Value; one event for each message in it
	FrameIn    Kind = "frame-in"   // a frame of the runtime Peer came in by the door Via; its hash is Value
	Connecting Kind = "connecting" // the set-up with Peer, the runtime of To, is in the state Value: this message does not wait for it
	Deploy     Kind = "deploy"     // To needs the stub Via: it was deployed, or found registered (Value)
	Status     Kind = "status"     // the stub Via has told the Registry the status Value of the connection with the runtime Peer
	Connection Kind = "connection" // the P2P connection with the runtime Peer is in the state Value; its door is Via
	Door       Kind = "door"       // the Registry generated the p2p-connectionUrl Via for the runtime Peer
	Listener   Kind = "listener"   // a listener for To was added to the MessageBus; it passes messages on to the runtime or stub Via
	Learned    Kind = "learned"    // the address To is known to be at the runtime Peer; Via is the door of the connection with it
	Untrusted  Kind = "untrusted"  // the runtime Peer was refused, or was refused as the owner of To; the reason is Value
	Listed     Kind = "listed"     // the registry of the runtime Peer lists the address To; the door of the connection with it is Via
)

// Event is one thing that happened.
type Event struct {
	At    time.Time    `json:"at"`
	Kind  Kind         `json:"kind"`
	From  message.URL  `json:"from,omitempty"`
	To    message.URL  `json:"to,omitempty"`
	Type  message.Type `json:"type,omitzero"`
	ID    string       `json:"id,omitempty"`
	Via   message.URL  `json:"via,omitempty"`
	Peer  message.URL  `json:"peer,omitempty"`
	Value string       `json:"value,omitempty"`
	Body  string       `json:"body,omitempty"` // the first 512 bytes of the message's body, for watchers that ask for bodies
}

// Func receives events. It is called in the goroutine that does what the event tells, so it must be quick. It may be called from
// many goroutines at once. A nil Func is valid.
type Func func(Event)

// Emit gives e to f, with the present time. A nil f does nothing.
func (f Func) Emit(e Event) {
	if f == nil {
		return
	}
	e.At = time.Now()
	f(e)
}
