// Package sdk is what the author of a protostub imports. A stub is a plug-in: a program of its own that a runtime's
// host starts, supervises and restarts, and that a runtime reaches by a link. The whole of such a program is
//
//	func main() { sdk.Serve(descriptor, stub) }
//
// where stub implements [Stub]. A stub for a P2P transport is made by package sdk/p2p from a p2p.Transport.
//
// One process runs several instances of a stub, such as one for each Message Node. Messages and frames cross the link for each
// instance. Messages are those of its MiniBus, the bus that [Stub].Run is given (status events, signalling, subscriptions:
// specification, "Protostub lifecycle"). Frames are bytes that only runtimes can read. They go through [Doors]: a door is a URL
// at which the runtime's frames leave and frames of other runtimes come in. sdk/link/PROTOCOL.md describes the link; package
// sdk/sdktest/stubtest runs a stub through a real one, in a test.
//
// # Guarantees
//
// Messages keep their order, and the frames of a door keep theirs. If a stub opens a door and then posts a message, the door is
// open when the runtime gets the message. Messages for an instance that listens to nothing yet wait until it does. A
// stub that takes no frames from a door holds back the frames of that door only.
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
