// Package receiver is one direction of a session, from a remote runtime: which number is expected, what is a duplicate, what
// waits to be delivered, and what the peer has to be told.
//
// A [Receiver] takes what was opened and parsed. It takes no lock, starts nothing and delivers nothing: its owner asks it for
// the batches that wait, delivers them, and says when their messages were taken. Times are since its owner began; 0 is "not
// set".
package receiver
