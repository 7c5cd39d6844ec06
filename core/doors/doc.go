// Package doors is where messages and frames leave this runtime and come in.
//
// A door is the URL by which messages and frames leave: that of a Message Node's stub, behind which are all runtimes that the
// node may speak for, or that of a P2P connection, behind which is one runtime. The receiver is another question, which the
// message's `to` answers.
//
// Out: [Exit] takes a message from the MessageBus. One to a function of a Message Node leaves as it is; one to a remote
// runtime goes through the session with it, or, if that runtime can have no session, leaves without one. [FramesOut] passes a
// session's frames to the stub of a door.
//
// In: [FramesIn] takes a stub's frames to the sessions that they are for. The [Table] says which runtime is behind the door;
// that is a claim, which the session then proves. [Entrance] takes a session's messages to the MessageBus; it refuses an
// invitation that a runtime sends in another one's name.
//
// [Paths] translates between the Registry's routes to remote runtimes and the paths of their sessions.
//
// Nothing here has a goroutine. The table has a lock of its own; the rest has no state.
package doors
