package connections

import (
	"github.com/protofly/protofly/sdk/message"
)

// Kind is what kind of thing is wanted.
type Kind uint8

// What is wanted. Where it says of which connection, Want.Connection is that one as it was then.
const (
	ShowState     Kind = iota // everybody is to see the connection's state; Text is why, for its Requester
	RefreshWay                // the way to Remote is another: see Peers.Way
	AddRequester              // the connection's Requester is to be known, before it is deployed
	Deploy                    // ... and deployed; Peers.NotDeployed where that fails
	Keep                      // the other side's Registry is to keep the live connection when it is invited; then Peers.Kept
	Reconnect                 // the Requester is to connect again, asked until it has heard or Peers.Waits says no
	OpenDoor                  // the Handler is to take messages at Door; then Peers.Opened
	CloseDoor                 // Door is closed
	Disconnect                // the connection's stub is to end it
	EndRequester              // the connection's Requester is ended
	AskRenewal                // the other side's Registry is to renew the connection
	Began                     // the connection is live
	Ended                     // the connection is live no more, or its set-up has failed
	ReadHandlers              // what Remote offers is to be read in the entry of the address To; then Peers.HandlersRead
	SayFailed                 // for the log: the set-up has failed; Text is why
	SayNotRenewed             // for the log: the renewal has failed; Text is why
	SayIllegal                // for the log: a stub has said a state that cannot be; Err is a *MoveError
)

// Want is one thing that is to be done, in the order in which they come.
type Want struct {
	Kind       Kind
	Remote     message.URL
	Connection Connection
	Door       message.URL
	To         message.URL
	Text       string
	Err        error
}
