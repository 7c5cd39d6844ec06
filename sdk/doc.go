// Package sdk is what the author of a protostub imports. A stub is a plug-in: a program of its own that a runtime's
// host starts, supervises and restarts, and that a runtime reaches by a link. The whole of such a program is
//
//	func main() { sdk.Serve(descriptor, stub) }
//
// where stub implements [Stub]. A stub for a P2P transport is made by package sdk/p2p from a p2p.Transport.
//
// Two things cross the link for each instance of a stub. One is the messages of its MiniBus, the bus that [Stub].Run is given
// (status events, signalling, subscriptions: specification, "Protostub lifecycle"). The other is opaque frames, by its
// [Doors]: a door is a URL at which the runtime's frames leave and others' frames come in. They go over the
// wire that sdk/link/PROTOCOL.md describes; package sdk/sdktest/stubtest runs a stub through the real one, in a test.
//
// # Guarantees
//
// Messages and frames keep their order, and order between them is kept too: a door that was opened before a message
// was posted is open when the message arrives. Messages that come before an instance first listens wait for it. A
// stub that does not empty a door holds back that door only.
//
// # Life
//
// A plug-in's process ends when the host asks it to, when the host dies, even if it is killed, and when no host opens the link
// within 15 s. A panic ends the process and leaves the stack in the host's log; the host then starts the plug-in again, and
// its instances have Start.Restarted set.
//
// # Limits
//
// A frame has at most [MaxFrame] bytes, a door's window is 1 MiB in each direction, an instance has at most 16384
// doors. Standard output belongs to the handshake: a plug-in writes nothing there. Standard error is the host's log.
package sdk
