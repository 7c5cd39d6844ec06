// Package deployer deploys protostubs for the Registry. It says what the host of the plug-ins (package stubhost) starts: the plug-in,
// its configuration and the files that it may read. It keeps a table of the deployed stubs and carries messages between them and
// the MessageBus. It starts no process itself.
//
// A message to a stub's address goes to the stub's MiniBus. A message from a stub must have the stub's own address as its `from`.
// Only the stub of a Message Node brings other messages as well: those of the node's functions, and those of runtimes without
// sessions, which core/plainpeers checks. Any other message is refused, and the host of the plug-ins is told.
//
// Nothing here waits while it takes a stub's message, because the stub's next message waits for it.
package deployer
