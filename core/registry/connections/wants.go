package connections

import (
	"github.com/protofly/protofly/sdk/message"
)

// Kind is a kind of [Want].
type Kind uint8

// The kinds. Where a kind is about a connection, Want.Connection is a copy of it at that moment.
const (
	ShowState     Kind = iota // publish the connection's state; Text is the reason, for its Requester
	RefreshWay                // the way to Remote has changed: see Peers.Way
	AddRequester              // add the connection's Requester to the stubs, before it is deployed
	Deploy                    // deploy it; if that fails, call Peers.NotDeployed
	Keep                      // ask the other side's Registry to keep the live connection when it is invited; then call Peers.Kept
	Reconnect                 // ask the Requester to connect again, until it has answered or Peers.Waits returns false
	OpenDoor                  // subscribe Door at the Handler; then call Peers.Opened
	CloseDoor                 // close Door
	Disconnect                // tell the connection's stub to end it
	EndRequester              // end the connection's Requester
	AskRenewal                // ask the other side's Registry to renew the connection
	Began                     // the connection is live
	Ended                     // the connection is not live any more, or its set-up has failed
	ReadHandlers              // read the Handlers of Remote in the entry of the address To; then call Peers.HandlersRead
	SayFailed                 // log that the set-up has failed; Text is the reason
	SayNotRenewed             // log that the renewal has failed; Text is the reason
	SayIllegal                // log that a stub has reported an impossible state; Err is a *MoveError
)

// Want is one thing that is to be done. Wants are done in their order.
type Want struct {
	Kind       Kind
	Remote     message.URL
	Connection Connection
	Door       message.URL
	To         message.URL
	Text       string
	Err        error
}
