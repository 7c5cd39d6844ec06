// Package wire is the dialect protofly.v1, which a Message Node and its stub speak over a WebSocket. PROTOCOL.md beside
// it is the description for authors of other stubs and nodes; this package is the one implementation that both sides
// of this project use.
//
// A WebSocket message (binary) is a packet: one or more frames, as many as were waiting. A frame is a kind, a length and
// a body. Frames of an unknown kind are skipped, so that either side may learn new ones; both sides send one on purpose
// ([AppendGrease]), to make sure that the other side skips them.
//
// Everything that is parsed here came from outside: lengths are checked before anything is sliced, no memory is allocated
// because of a length alone, and addresses go through message.ParseURL.
package wire
