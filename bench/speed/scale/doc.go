// Package scale measures what many peers cost: P2P peers of one runtime, connections of one Message Node, subscribers of
// one publication; what a runtime costs that does nothing, and how long a connection takes to be live.
//
// # What is measured
//
// What a figure is about is a process of its own: the Message Node, a runtime with its plug-ins, as an operator starts
// them. Memory is what these processes have resident, before and after, settled ([settle]): no figure is the heap's of
// somebody who measures himself. A runtime and its plug-ins count together.
//
// # The crowd
//
// Those many that it is measured with are members of a crowd: one child process with one process for each plug-in, the
// real ones, with an instance of a stub for each member, which has a key, a socket and a connection of its own. A
// [guest] is a runtime as a Message Node sees it and no more. A [peer] has what a runtime has between its applications
// and its stubs: a MessageBus, a Registry, sessions and a sync manager; what it lacks are processes for itself alone and an
// application API. Whoever it connects to cannot tell it from another.
package scale
