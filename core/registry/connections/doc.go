// Package connections decides about P2P connections: at most one for each remote runtime, two while one is renewed.
//
// It is a state that does no I/O, takes no lock and knows no clock: it is told what has happened and what time it is, changes itself, and
// says what it wants done (see [Want]). Whoever owns it takes what it wants after each call, does it, and says what came of it; and
// calls [Peers.Tick] when [Peers.Next] says so.
//
// # States
//
// The states are the specification's figure: created → in-progress → live ⇄ disconnected, created|in-progress → failed. The table is in
// state.go and nothing but move, in connection.go, changes a connection's state; an illegal move is refused and said. A new try, and
// a reconnect, is a new connection. When both sides request at once the lower runtime URL stays requester.
//
// # A set-up
//
// A message wants a connection ([Peers.Consider]): a Requester for one of the remote runtime's Handlers is deployed, reports its
// states ([Peers.RequesterStatus]), and is live. Or the remote runtime wants one: this runtime's Handler reports that ([Peers.Invited]), and
// then its states ([Peers.HandlerStatus]). When it says live, its door is opened first, and then the connection is live.
// When a set-up fails, the next transport is tried at once; when all have failed, a message starts again after a pause that grows.
//
// # Renewal
//
// When the process that carries connections is to end, each of them is set up again beside itself ([Peers.Renew]). The side that
// requested a connection does it: the other one asks it to. Before its new Requester invites, it has the other side told to keep the
// live connection, which then answers the Handler's invitation so. Both sides have two connections for the remote runtime then, and
// the live one is the way. When the new one is live it takes its place, and the requester closes the old one a moment
// later. Where the new one fails the old one stays; where the old one ends first the new one is a set-up like any other.
package connections
