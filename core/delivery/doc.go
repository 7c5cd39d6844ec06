// Package delivery reports the outcome of messages: whether a message was delivered, was refused, has expired or is in doubt.
//
// A [Tracker] keeps the tracked messages: those whose senders asked for the outcome. Several parts of the core may report it:
// the MessageBus (a listener in this runtime has taken the message, or nobody has the address), the session (the remote
// runtime's listener has taken it, or it was given up), the Message Node's stub (an answer to a message that left without a
// session). The first report counts, and the sender gets exactly one outcome for each message.
//
// [Refusals] answers messages that nobody will take: it sends each sender the response with the code of the refusal. A remote
// runtime that refuses says so in the session, of the very messages that it was given ([session.Rejected]). Their senders are
// answered here, in the name of the address that they sent to: nobody else's word counts, and no address there is needed for it.
//
// # Outcomes and codes
//
//	state      response to an untracked message      means
//	delivered  none, or the receiver's answer        the handler has returned, or said Done (sdk/hyperty.Received)
//	refused    a code of 400 to 504, state refused   nobody took it, certainly
//	expired    504, state expired                    nobody acknowledged it in its time; the text says whether it may have arrived
//	in doubt   504, state in doubt                   it may have been delivered, and nobody will know
//
// The state is a member of the response's body ([message.Result]); an answer has none. In a session a refusal has only a code, and 504
// says there that the message is in doubt: no component refuses with it what certainly was not taken.
//
// Nothing here waits for a sender or a listener: what takes time runs in the goroutines of the Go option.
package delivery
