// Package sender is one direction of a session, towards a remote runtime: which messages are on their way, which may enter,
// what is sent next, and what has expired.
//
// A [Sender] numbers messages and keeps them, with their bytes, until they are acknowledged: see ring.go. Of each it keeps a
// small record until it is known to be taken; from these it computes the credit of each destination: see credit.go. It
// takes no lock, starts nothing and sends nothing: its owner asks it for the next frame's messages and tells it what the peer has said.
package sender
