// Package routing carries messages and Data between the connections of a node, and to the other nodes of its domain.
//
// All of it goes through NATS (package backbone), also between two connections of one node: [Router.Route], [Router.Publish] and
// [Router.SendData] publish, and one goroutine, [Router.Run], moves what comes to the connections that want it, without ever
// blocking. So what one sender published reaches one receiver in order, whatever addresses it was for.
//
//   - client.go: [Client] is a connection with whose it is, what it may do, and whom it speaks with.
//   - roster.go: [Roster] is which runtimes are connected here, and since when others are missing.
//   - routes.go: which addresses lead to a connection, and why; want.go adds and ends routes.
//   - publish.go: where a frame goes to another connection or node.
//   - dispatch.go: where it comes from there.
//   - attach.go: a connection becomes its runtime's, or ends.
//   - granted.go: what others lose when an address is given to its owner.
//
// Whose an address is, package rights says.
package routing
