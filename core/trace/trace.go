// Package trace is how the core tells what it does, step by step, to whoever watches: the quickstart's trace, tests,
// an operator. Events are made from what has happened, where it happens. Without a watcher an event costs one nil
// check. What messages say is in an event only where the watcher has asked for it: it is as secret as the session that
// it came through.
package trace

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Kind is what happened.
type Kind string

// The kinds of events. From, To and Type are the message's where there is one.
const (
	Post       Kind = "post"       // a component of this runtime posted a message on the MessageBus
	Arrive     Kind = "arrive"     // a message came in from Peer, whose last frame came through the door Via
	Deliver    Kind = "deliver"    // the MessageBus gave a message to a local listener
	Resolve    Kind = "resolve"    // the MessageBus asks the Registry for the way to To
	Resolved   Kind = "resolved"   // the Registry answered: Via is the stub or door, Value is why
	Forward    Kind = "forward"    // the MessageBus gave a message to the stub or door Via
	Frame      Kind = "frame"      // a frame for Peer was handed to the door Via; Value is its hash; one event for each message in it
	FrameIn    Kind = "frame-in"   // a frame of Peer came in through the door Via; Value is its hash
	Connecting Kind = "connecting" // the Registry found a set-up with To's runtime Peer ongoing: no direct way for this message
	Deploy     Kind = "deploy"     // the Registry had the stub Via, which To needs, deployed or found it registered (Value)
	Status     Kind = "status"     // a stub's status event reached the Registry; Value is the status, Peer the remote runtime
	Connection Kind = "connection" // the Registry's entry for Peer changed; Value is its state, Via its door
	Door       Kind = "door"       // the Registry generated the p2p-connectionUrl Via for Peer
	Listener   Kind = "listener"   // a listener for To was added to the MessageBus; Via is where it leads
	Learned    Kind = "learned"    // the address To is known to be Peer's; Via: it entered the entry of the connection with that door
	Untrusted  Kind = "untrusted"  // the runtime Peer was refused, as itself or as the owner of To; Value is why
	Listed     Kind = "listed"     // Peer's registry lists the address To: it is in the entry of the connection with the door Via
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
	Body  string       `json:"body,omitempty"` // the message's body, cut to 512 bytes; only for who has asked for bodies
}

// Func receives events. It must be quick and may be called from many goroutines. A nil Func is valid.
type Func func(Event)

// Emit gives e to f, with the time set; nothing happens where f is nil.
func (f Func) Emit(e Event) {
	if f == nil {
		return
	}
	e.At = time.Now()
	f(e)
}
