// Package stub is the Message Node's protostub (specification, "Protostub lifecycle"): it carries messages between a runtime
// and the Message Node of one domain. It speaks protofly.v1, see ../wire/PROTOCOL.md.
//
// # What it carries
//
// Messages that reach the stub's default listener go to the node as they are; what comes from the node is posted on the
// bus with the stub added to its via. A message that has already crossed this stub is not sent again. Opaque frames go
// through the stub's one door, whose URL is the stub's own: the peer of a frame is the remote runtime.
//
// # Connection
//
// The stub connects when it starts, and again after every loss, after pauses that grow from 100 ms to 2 s with jitter;
// traffic shortens a pause. After a newer connection of the same runtime has replaced its own it waits for 2 s: it may
// be about to be ended. It proves the runtime's identity without ever seeing its key: it has the node's challenge
// signed at <runtime>/identity. A node that does not answer a ping is given up after at most 8 s.
//
// Status events are posted to <stub>/status: created, in-progress, live; disconnected when a live connection is lost and
// live when it is back; failed when the first connection cannot be made (the stub goes on trying: in-progress or live
// follow).
//
// If a node refuses and says when to come again, because it is full or does not admit the runtime, the stub does not try
// before, for 5 minutes at most, whatever traffic there is. A token of the node's operator, where the configuration has one
// for the node's domain, is part of the proof.
//
// What nodes and remote runtimes can make the stub remember: the last 1,024 runtimes that the node reported as not connected,
// and an outbox of 1,024 messages and 16 MiB.
//
// # While there is no connection
//
// Messages wait in a bounded queue. One that waits for 3 s without a connection is given up: a request is answered 504,
// and the text says which node cannot be reached and why. Frames wait in the core.
//
// When the node says that a runtime is not connected to it, the stub posts an update to <stub>/unreachable, body
// {value: <runtime URL>}, at most once a second for each runtime.
package stub
