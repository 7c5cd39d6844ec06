// Package delivery reports the outcome of messages: whether a message was delivered, was refused, has expired or is in doubt.
//
// A [Tracker] keeps the tracked messages: those whose senders asked for the outcome. Several parts of the core may report it:
// the MessageBus (a listener in this runtime has taken the message, or nobody has the address), the session (the remote
// runtime's listener has taken it, or it was given up), the Message Node's stub (an answer to a message that left without a
// session). The first report counts, and the sender gets exactly one outcome for each message.
//
// [Refusals] answers messages that are refused: it sends each sender the response with the code of the refusal.
//
// Nothing here waits for a sender or a listener: what takes time runs in the goroutines of the Go option.
package delivery
