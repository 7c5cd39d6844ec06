// Package link is the wire between a runtime's core (the host) and a plug-in's process: one bidirectional gRPC stream
// a process, made and authenticated by go-plugin, and beside it pipes that the plug-in inherits, which carry the
// frames where the plug-in can use them: see [Pipes]. sdk/link/PROTOCOL.md is the protocol and
// sdk/link/link.proto its schema, for plug-ins in every language; those in Go use sdk.Serve, which does all of it.
//
// [Conn] is one end of the link and is the same for both sides. It carries control frames, given to a [Handler], and
// [Lane]s: flow-controlled, ordered ways for payloads in both directions. Each instance of a stub has lane 0 for the
// messages of its MiniBus and one lane for each of its doors.
//
// # Guarantees
//
// Frames of a lane keep their order, and a control frame that was sent after a lane's frames arrives after them. A
// lane that nobody empties holds back its own sender after [Window] bytes and nobody else. Whatever waits is written
// as one batch; nothing waits for a batch to fill. What a peer sends is bounded: a batch by [MaxBatch], a lane by its
// window, a link by [MaxQueued], and a peer that exceeds them is a [*ProtocolError], which ends the link. Frames of a
// kind that this version does not know are ignored.
//
// When the link ends, what had arrived can still be received; then every lane ends.
package link

//go:generate ./generate.sh
