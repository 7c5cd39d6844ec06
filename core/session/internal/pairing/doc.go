// Package pairing is with whom a session speaks: which incarnation of the remote runtime is the peer, with which keys, and how
// another one becomes it.
//
// Two incarnations make a handshake, in which each proves that it is the runtime of its URL and that it lives now, before any
// other frame of theirs counts. The runtime with the lower URL begins; the other asks it to. Everything in a hello is a
// stranger's word until the handshake has ended, so nothing that the pair in use has is given up before.
//
// A [Pairing] takes no lock, starts nothing and sends nothing: its owner gives it what comes, asks it for the hellos that are
// to be sent, and does what a [Change] says. Times are since the owner began; 0 is "not set".
package pairing
