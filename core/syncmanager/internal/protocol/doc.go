// Package protocol is what the sync manager's messages say: the bodies of requests, and the messages that it makes itself. See
// package syncmanager's doc for who sends what to whom. It has no state.
package protocol
