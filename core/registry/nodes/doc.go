// Package nodes is which Message Nodes' stubs run, and for whom.
//
// A Message Node's stub is deployed, and so a connection to a domain made, for one of two causes. What this runtime's
// applications and its operator want has the whole of Options.Max. What remote runtimes have this one do has half
// of it at most, waits its turn, and is undeployed when nobody uses it any more: a stranger can make up any number of
// domains. Frames of a runtime that has not proven itself are no cause at all.
//
// Any goroutine reads which stubs run, without a lock. One goroutine writes, and says what time it is; nothing here does I/O.
package nodes
