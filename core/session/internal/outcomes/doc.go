// Package outcomes is what becomes of messages after they were acknowledged: what this side has to tell the peer of its
// messages, when, and when the peer is asked about ours.
//
// [Owed] is which messages were taken or refused here and the peer does not know of; [Outcomes] is when it is told, and what is
// done about a peer that says nothing. Neither takes a lock, starts or sends anything; they are told what happened and what time
// it is. Times are since the owner began; 0 is "not set".
package outcomes
