// Package stubs has the protostubs that this runtime has deployed. It starts and ends them for the Registry, makes the
// configuration of their plug-ins and the list of files that these may read, and exchanges messages with the stubs.
//
// A message to a stub's address goes to the stub's MiniBus. A message from a stub must have the stub's own address as its `from`.
// Only the stub of a Message Node brings other messages as well: those of the node's functions, and those of runtimes without
// sessions, which core/plainpeers checks. Any other message is refused, and the host of the plug-ins is told.
//
// Nothing here waits while it takes a stub's message, because the stub's next message waits for it.
package stubs
