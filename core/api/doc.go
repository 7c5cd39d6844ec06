// Package api serves the local application API (internal/apiwire) on a Unix socket: applications in other processes
// register hyperties and exchange messages; the command line asks how things are.
//
// It knows the runtime only as a [Backend]. What it adds is the wall between processes: the socket (its own user only:
// 0600, in a folder that others cannot write, the other end's user checked), a limit for everything that an
// application can make the runtime keep, places for connections that no process can take from all others, and a window of credit for each hyperty in each direction, so that
//
//   - a slow hyperty holds up its own senders and nobody else,
//   - what a hyperty posts to a receiver that is behind waits, and not what it posts to others,
//   - a response is never behind messages that wait for their handler,
//   - an application that does not read its stream at all costs at most 8 MiB.
//
// An error of one hyperty is nothing to the others of its application. A message that the runtime refuses (a forged from, a body that is
// too large or no JSON, bytes that are no message, a post beyond the window) is answered with a response in its place among the
// others; a record that means nothing is answered with an Ended of reference 0. Three things end a stream, with a last word that says
// why: it is not cut into records, it does not begin with Hello of a known version, or the application does not read what it is told.
// Nothing that an application does ends another's stream.
//
// A message is taken when the application says so, because its handler has returned, and not when it was written on the socket: see
// Credit in internal/apiwire. Messages are settled by number, in any order. What an application returns is refused; what it was given and
// has not settled when it goes is in doubt, and what it was not given is refused. The senders are told.
//
// A runtime's end has two parts. [Server.Drain] takes back what applications have, after a moment for their handlers, so that the sessions
// still tell its senders, and unregisters their hyperties. [Server.Close] ends their streams, when they have heard what became of their
// own messages.
//
// When an application's stream ends, its hyperties are unregistered; a registration of the same name waits for that.
package api
