// Package quota is what strangers may take of a node: connections, tokens and turns, each counted by the address that it is
// for.
//
//   - [Source] is whom things are counted by where no key tells, and [Sources] reads it from connections and requests.
//   - [Gate] counts connections from the moment that they are made, and says which one makes room for which.
//   - [Buckets] are token buckets by any key, of which there are at most so many.
//   - [Turns] let one ask at a time, of those that wait by address in turn.
//
// Gate is told what happens and when, does no I/O and has no lock. Buckets and Turns are called from many goroutines and
// have a lock each, under which they only count. What a limit is, and what is done where one is reached, is the node's.
package quota
