// Package peers is what a node remembers of the runtimes with which one connection speaks.
//
//   - [Peers] are the runtimes to which it sends Data: the subject of each, how much it may send to each now, and which of them
//     have answered. It may send little to a runtime that does not answer, and it gets little from runtimes to which it has
//     sent nothing.
//   - [Questions] are the last messages that it has sent, for NATS's notice that nobody wants one.
//
// What waits for the connection is in package outbox instead: it is ordered by its senders, to which the connection may
// never have sent anything, and is under the connection's own lock. It needs one thing from here: whether a sender is
// known. The parts do no I/O. Each has a lock, since the connection's reader and the node's dispatcher both use it.
package peers
