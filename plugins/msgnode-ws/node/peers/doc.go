// Package peers is what a node remembers of whom one connection speaks with.
//
//   - [Peers] are the runtimes that it sends Data to: where what is for them is published, how much each may be sent now, and
//     which of them have answered. A runtime that does not answer may be sent little, and a connection is brought little by
//     runtimes that it has sent nothing to.
//   - [Questions] are the last messages that it has sent, for the case that nobody wants one.
//
// What waits for the connection is not here but in package outbox: that is ordered by who sent it, whom the connection may
// never have sent anything to, and lives under the connection's own lock. It takes one thing from here, whether a sender is
// known. The parts do no I/O. Each has a lock, since the connection's reader and the node's dispatcher both use it.
package peers
