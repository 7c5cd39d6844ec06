// Package quota is what strangers may take of a node: connections, tokens and turns, each counted by the address that it is
// for.
//
//   - [Source] is whom things are counted by where no key tells, and [Sources] reads it from connections and requests.
//   - [Connections] counts connections from the moment that they are made, and says which one makes room for which.
//   - [Buckets] are token buckets by any key, of which there are at most so many.
//   - [Turns] let one ask at a time, of those that wait by address in turn.
//
// Connections is told what happens and when, does no I/O and has no lock. Buckets and Turns are called from many goroutines and
// have a lock each, under which they only count. What a limit is, and what is done where one is reached, package rates and
// package web say.
//
// Package core/admission of the runtime has the same purpose and other rules, so neither can stand for the other. There a caller
// whose turn has not come waits, and nothing is ever taken away again; names share a fixed number of buckets, since whoever
// makes names up must not get a fresh one. Here a refusal with a time to try again is the answer, a connection is closed to make
// room for one of an address with fewer, and an address, which cannot be made up, has a bucket of its own. The token
// buckets themselves are golang.org/x/time/rate in both.
package quota
