// Package directory is what the Registry knows of remote runtimes: the way to each, and which addresses live there.
//
// Any goroutine reads it without a lock: the way of a message over a live P2P connection is two look-ups and nothing else. One
// goroutine writes it and says what time it is.
//
// # Who says where an address lives
//
// The Domain Registry's word comes first; all else is a claim of the runtime itself (see [Source]): it takes no address that is known as
// another's. Claims may be as many and as long as a stranger likes, so the memory for them is bounded, of each runtime and of
// all: where all have too much, others' entries make room. Everything expires, but not while there is a live connection.
//
// What a runtime has given up is nobody's: nobody sends there, and others may claim it. Messages from there may still wait, so for two
// minutes it is remembered whose it was, see [Directory.Lately].
package directory
