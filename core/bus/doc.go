// Package bus is the MessageBus: the middle of the runtime's core (specification, "MessageBus").
//
// A message posted on it goes, in this order,
//
//  1. to the request that waits for it, if it is a response;
//  2. to everybody who listens to its address: components of this runtime ([MessageBus.Listen]) and remote runtimes
//     that subscribed to it ([MessageBus.Forward]); a publication ends here even if nobody listens;
//  3. out of the house: the [Resolver] (the Registry) names the way, the [Forwarder] takes the message.
//
// A message that nobody can take is answered: 404 where nobody knows the address, else what the Resolver says. A
// response is never answered.
//
// # Where a message enters
//
// A message is validated ([message.Message.Check]) where it enters the bus, and nowhere behind that: the session and the ways out
// rely on it. There it is also asked, once, whether somebody watches the message ([Watcher]); the answer, a receipt, goes with
// the message to its listeners or to the [Forwarder]. A message that is not valid is the error of the call, or is answered:
//
//	Post, TryPost, Request, Reply  of the core's own components, which are trusted     the error
//	From                           of a stub, whose `from` must be its own             the error
//	Handle.Post, Handle.TryPost    of an application, as From                          the error
//	Accept, TryAccept              of a remote runtime, out of the session with it     400; its receipt comes with it
//	Arrive                         of a remote runtime without a session               400; nobody watches it
//	ArriveFromNode                 of a Message Node itself                            dropped; nobody watches it
//
// What comes from another process, as bytes, has been parsed before it comes here: what is no message at all ends there. What a
// remote runtime sent is delivered here or nowhere, never sent on, and its `from` must belong to that runtime.
//
// # Who waits
//
// Messages that one sender posts to one address arrive in the order of posting. Every inbox is bounded: while one is full its
// sender waits (backpressure), and no other sender. The context of a call bounds how long it waits. Calls whose names begin with
// Try never wait. Where they would have to they have done nothing, and say [message.ErrWouldBlock]; the same call without Try is
// another entry of the message. A session tries first, and waits for each receiver apart: so one that is behind does not hold up
// what comes for the others.
//
// The core's components answer with [MessageBus.Reply], which does not wait for somebody who asks and takes no answers. A
// subscriber from outside that is behind misses publications.
//
// # What becomes of a message
//
// Whoever gives a message with a receipt ([minibus.Delivery], [Watcher]) is told when its receiver has taken it, or what it
// was answered instead.
package bus
