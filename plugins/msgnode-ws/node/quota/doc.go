// Package quota bounds what strangers may take of a node: connections, tokens and turns, each counted by address.
//
//   - [Source] is what things are counted by where no key is known, and [Sources] reads it from connections and requests.
//   - [Connections] counts connections from the moment that they are made, and decides which one makes room for another.
//   - [Buckets] are token buckets by any key, of which there are at most so many.
//   - [Turns] let one request be computed at a time; addresses take turns.
//
// Connections does no I/O and has no lock. Buckets and Turns are called from many goroutines and have a lock each, under which
// they only count. Packages rates and web say what the limits are, and what is done where one is reached.
//
// Package core/admission of the runtime has the same purpose and other rules, so neither can stand for the other. There a
// caller whose turn has not come waits, and nothing is ever taken away again; names share a fixed number of buckets, since a
// made-up name must not get a fresh one. Here the answer is a refusal with a time to try again, a connection is closed to make
// room for one of an address with fewer, and an address, which cannot be made up, has a bucket of its own. The token buckets
// themselves are golang.org/x/time/rate in both.
package quota
