// Package protofly serves connections of protofly.v1, the node's own dialect (../../wire/PROTOCOL.md).
//
//   - handshake.go: a runtime's key is proved, and whether it may use the node is decided.
//   - serve.go: a connection is read; its messages go to package relay.
//   - data.go: Data frames for one peer are gathered, and published together by package routing.
package protofly
