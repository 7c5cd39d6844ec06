// Package doors is where messages and frames leave this runtime and come in.
//
// A door is the URL at which a stub is reached: that of a Message Node's stub, behind which are all runtimes that the node
// may speak for, or that of a P2P connection, behind which is one runtime. It says by where something leaves; who gets it
// is another question, which the message's `to` answers.
//
// Out: [Exit] takes a message from the MessageBus: to a function of a Message Node as it is, to a remote runtime through
// the session with it, or, where that runtime can have no session, without one. [FramesOut] hands a session's frames to the
// stub of a door.
//
// In: [FramesIn] takes a stub's frames to the session that they are for; the [Table] says with which runtime. That is a claim of
// the door, which the session then proves. [Entrance] takes a session's messages to the MessageBus;
// it refuses an invitation that a runtime sends in another one's name.
//
// [Paths] translates between the Registry's routes to remote runtimes and the paths of their sessions.
//
// Nothing here has a goroutine. The table has a lock of its own; the rest has no state.
package doors
