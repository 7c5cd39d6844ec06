// Package nodes knows which Message Nodes' stubs run, and because of whom.
//
// A Message Node's stub is deployed, and so a connection to a domain made, for one of two causes. What this runtime's
// applications and its operator cause may use all of Options.Max. What remote runtimes cause may use half of it, waits for
// its turn, and is undeployed when it is not used any more: a stranger can make up any number of domains. Frames of a runtime
// that has not proven itself do not count as a cause.
//
// Any goroutine reads which stubs run, without a lock. One goroutine, the writer, changes it and passes the time. Nothing
// here does I/O.
package nodes
