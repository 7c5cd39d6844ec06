// Package delivery is what becomes of a message after it was posted, and who is told.
//
// A [Tracker] has the messages whose senders want to know. Several parts of the core may learn something final of one:
// the MessageBus (a listener in this runtime has taken it; nobody has the address), the session (the remote runtime's
// listener has taken it; it was given up), the Message Node's stub (an answer to a message that left without a session).
// The first word counts, and each message gets exactly one.
//
// [Refusals] tells the senders of messages that nobody will take; of each it sends the response that the message gets.
//
// Nothing here waits for a sender or for a listener: what takes time is handed to the goroutines of the Go option.
package delivery
