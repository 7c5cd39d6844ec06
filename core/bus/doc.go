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
// Who posts matters. The core's own components use [MessageBus.Post] and are trusted. Stubs and applications come in
// through [MessageBus.From], which refuses a `from` that is not theirs. What other runtimes sent comes in through
// [MessageBus.Arrive]: it is delivered here or nowhere, never sent on, and its `from` must belong to the runtime that
// sent it.
//
// Order: messages that one sender posts to one address arrive in the order of posting. Every inbox is bounded; a full
// one makes the sender wait (backpressure), and no other sender. What came from another runtime waits for nobody in
// Accept, unless it may: so one receiver that is behind does not hold up what comes for the others.
//
// Nobody waits for who asks and takes nothing: the core's components answer with [MessageBus.Reply], and a subscriber from
// outside that is behind misses publications.
//
// What becomes of a message: who hands one over with a receipt ([Arrival], [Watcher]) is told when its receiver has taken
// it, or what it was answered instead.
package bus
