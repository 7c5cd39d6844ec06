// Package web is the node's listener and its HTTP server: it counts connections, makes WebSockets of requests, and has the pages that
// say whether the node is well and how its stub is configured.
//
//   - listener.go: connections are counted from the moment that they are made; [Listener] gives attached ones their places.
//   - bounds.go: a request that is over a bound is told so.
//   - accept.go: WebSockets, of which packages protofly and reference read what comes.
//   - pages.go: the descriptor and the health page.
package web
