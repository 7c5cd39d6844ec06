// Package scale measures what many peers cost: P2P peers of one runtime, connections of one Message Node, and subscribers of
// one publication. It also measures the cost of an idle runtime, and the time until a connection is live.
//
// # What is measured
//
// The measured programs, the Message Node or a runtime with its plug-ins, are processes of their own, started as an operator
// starts them. Memory is the resident memory of these processes before and after, when it does not change any more ([settle]); the
// measuring process does not count. A runtime and its plug-ins count together.
//
// # The crowd
//
// The many clients are members of a crowd: one child process, with one process of each real plug-in, and in that an instance of a
// stub for each member. Each member has a key, a socket and a connection of its own. A [guest] is a runtime as far as a Message Node
// can see. A [peer] has the parts of a runtime between its applications and its stubs: a MessageBus, a Registry, sessions and a sync
// manager. It has no processes of its own and no application API. Another runtime cannot tell it from a runtime.
package scale
