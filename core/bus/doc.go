// Package bus is the MessageBus: the middle of the runtime's core (specification, "MessageBus").
//
// A message that is posted on it goes to the first of these that takes it:
//
//  1. to the request that waits for it, if it is a response;
//  2. to all listeners of its address: components of this runtime ([MessageBus.Listen]) and remote runtimes
//     that subscribed to it ([MessageBus.Forward]); a publication ends here even if nobody listens;
//  3. to the hyperty of this runtime whose address its own is below, and which listens there, or refuses it with 404;
//  4. to the way out of this runtime: the [Resolver] (the Registry) names the way, the [Forwarder] sends the message there.
//
// A message that nobody can take is answered: with 404 where nobody knows the address, else with the error that the Resolver
// has returned. A response is never answered.
//
// # Where a message enters
//
// A message is validated ([message.Message.Check]) where it enters the bus, and nowhere behind that: the session and the ways
// out rely on it. There the bus also asks the [Tracker], once, whether the message is tracked, which means that its sender
// learns its outcome. The Tracker gives a receipt, which goes with the message to its listeners or to the [Forwarder]. The
// last column says what happens to a message that is not valid, and where its receipt comes from if not from the Tracker:
//
//	Post, TryPost, Request, Reply  of the core's own components, which are trusted     the call returns an error
//	From                           of a stub, whose `from` must be its own             the call returns an error
//	Handle.Post, Handle.TryPost    of an application, whose `from` must be its own     the call returns an error
//	Accept, TryAccept              of a remote runtime, out of the session with it     answered 400; receipt of the session
//	Arrive                         of a remote runtime without a session               answered 400; no receipt
//	ArriveFromNode                 of a Message Node itself                            dropped; no receipt
//
// verifyLocal checks the `from` of stubs and of applications (Handle.Post only compares it where it remembers the way); Accept
// and TryAccept check that of remote runtimes: it must belong to the runtime that sent the message. A message of a remote
// runtime is delivered in this runtime or answered with 404, and never sent on to another one. Bytes from another process are
// parsed before they come here: bytes that are no message are refused there.
//
// # Who waits
//
// Messages that one sender posts to one address arrive in the order of posting. Every inbox is bounded: while one is full its
// sender waits (backpressure), and no other sender. The context of a call bounds how long it waits. Calls whose names begin with
// Try never wait. One that would have to wait has done nothing, and returns [message.ErrWouldBlock]. Its caller may then make the
// same call without Try, which validates the message again. A session calls TryAccept first. Where that would wait it calls
// Accept in a goroutine for this receiver: so a receiver that is behind does not hold up the messages for others.
//
// The core's components answer with [MessageBus.Reply]. It does not wait: a runtime or a hyperty that sends requests and
// takes no answers holds up nobody. A remote runtime that has subscribed and is behind misses publications, see
// [MessageBus.Forward].
//
// # What becomes of a message
//
// The owner of a message's receipt (the [Tracker], or the session that the message came out of) is told when the receiver has
// taken the message, or with which code it was refused instead. A session may also have a way to tell the sender itself why: then the
// bus answers nothing, see [minibus.Receipt.Refuse].
package bus
