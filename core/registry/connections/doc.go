// Package connections decides about P2P connections: at most one for each remote runtime, two while one is renewed.
//
// It is a state that does no I/O, takes no lock and has no clock: its methods are called with what has happened and with the
// present time, change the state, and note what is to be done (see [Want]). After each call the owner takes these wants, does
// them, and reports the results; and it calls [Peers.Tick] when [Peers.Next] says so.
//
// # States
//
// The states are the specification's figure: created → in-progress → live ⇄ disconnected, created|in-progress → failed. The
// table is in state.go, and only move, in moves.go, changes a connection's state; it refuses and reports an illegal move. A
// new attempt, and a reconnect, is a new connection. When both sides request at once (glare), the one with the lower runtime
// URL stays requester.
//
// # A set-up
//
// A message can cause a set-up ([Peers.Consider]): a Requester for one of the remote runtime's Handlers is deployed, reports
// its states ([Peers.RequesterStatus]), and is live. Or the remote runtime begins one: this runtime's Handler reports that
// ([Peers.Invited]), and then its states ([Peers.HandlerStatus]). When it reports live, its door is opened first, and then
// the connection is live. When a set-up fails, the next transport is tried at once; when all have failed, there is a pause,
// longer each time, and the next message starts again.
//
// # Renewal
//
// When the process that carries connections is to end, each of them is set up again beside itself ([Peers.Renew]). The side
// that requested a connection does it; the other side asks it to. Before the new Requester invites, the other side is asked
// to keep the live connection; then it accepts the invitation and keeps it. Both sides then have two connections for the
// remote runtime, and the live one is the way. When the new one is live it takes the place of the old one, which the
// requester closes a moment later. If the new one fails, the old one stays; if the old one ends first, the new one is a
// set-up like any other.
package connections
