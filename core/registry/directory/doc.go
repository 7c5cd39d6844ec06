// Package directory is what the Registry knows of remote runtimes: the way to each, and which addresses live there.
//
// Any goroutine reads it without a lock: finding the way over a live P2P connection takes two look-ups. One goroutine, the
// writer, changes it and passes the present time.
//
// # Where the knowledge comes from
//
// The Domain Registry's entries count for more than all else, which are claims of the runtime itself (see [Source]): a claim
// has no effect on an address that is known as another's. A stranger may make any number of claims, of any length, so the
// memory for them is bounded, for each runtime and for all: beyond the bound for all, new claims replace other entries.
// Entries expire, but not while there is a live connection.
//
// An address that a runtime has given up belongs to nobody: no message is sent there, and others may claim it. Messages from
// there may still wait, so the directory remembers for two minutes which runtime had it, see [Directory.Lately].
package directory
