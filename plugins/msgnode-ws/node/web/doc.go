// Package web is the node's listener and its HTTP server: it counts connections, makes WebSockets of requests, and has the pages that
// say whether the node is well and how its stub is configured.
//
//   - listener.go: connections are counted from the moment that they are made; [Listener] gives attached ones their places.
//   - bounds.go: requests beyond a bound are refused.
//   - accept.go: WebSockets, from which packages protofly and reference read.
//   - pages.go: the descriptor and the health page.
package web
