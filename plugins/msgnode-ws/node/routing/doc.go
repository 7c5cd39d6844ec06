// Package routing carries messages and Data between the connections of a node, and to the other nodes of its domain.
//
// All of it goes through NATS (package backbone), also between two connections of one node: [Router.Route], [Router.Publish] and
// [Router.SendData] publish, and one goroutine, [Router.Run], moves what comes to the connections that want it, without ever
// blocking. So what one sender published reaches one receiver in order, whatever addresses it was for.
//
//   - client.go: [Client] is a connection with its runtime, what it may do, and its peers.
//   - roster.go: [Roster] knows which runtimes are connected here, and since when others are missing.
//   - routes.go: which addresses lead to a connection, and why; want.go adds and ends routes.
//   - publish.go: messages and frames are published for other connections and nodes.
//   - dispatch.go: what was published comes to the connections.
//   - attach.go: a connection becomes the connection of its runtime, or ends.
//   - granted.go: others' subscriptions and routes to an address end when it is given to its owner.
//
// Package rights says to which runtime an address belongs.
package routing
