// Package minibus is the bus inside a stub's or an application's process (specification, "MiniBus"), and the parts
// that every bus is made of: [Listeners] (who listens to which address, each behind a bounded inbox) and [Requests]
// (which response belongs to which request).
//
// A [MiniBus] never delivers what is posted on it to its own listeners: every message goes out, to the MessageBus of
// the runtime's core, which knows the way. What comes in is given, in this order, to the request that waits for it,
// to the listeners of its address, or to the default listener (address [message.Default]). The default listener gets
// only what nobody else listens to: the reference code gives it more, and its stubs echo updates back for it. A response
// belongs to a request only if it comes from the address that was asked: see [Answers].
//
// Order: the messages that one goroutine posts reach a listener in the order of posting. A listener's handler is called for
// one message at a time. [Listeners.TryHandRun] passes several messages to one address at once. A listener with a queue of
// its own, such as another bus in the same process, gets them without a second queue between: see [Listeners.ListenThrough].
// A listener costs memory and a goroutine only while messages wait for it.
//
// Addresses below: a listener of [Listeners.ListenApart] or [Listeners.ListenThrough], behind which an application is, gets the messages to
// the addresses below its own as well, where nobody listens to just these and [Listeners.Below] says so. A bus that has an owner
// ([MiniBus.Own]) gives it the responses to such addresses.
//
// Receipts: the deliverer of a message may add a [Receipt], which reports when the message was taken: when its handler has
// returned, or when a [TakingHandler] says so. It also reports if nobody will take the message, because its listener has
// gone.
//
// Limits: an inbox holds 256 messages by default; when it is full, the deliverer waits. It holds 64 times as many messages
// whose receipts have a cost: their deliverer bounds how many wait.
//
// Turns: messages that differ in [Receipt.Source], which come from different remote runtimes, wait in different queues, and
// the listener gets at most 128 of each in turn. Even if one source has filled an inbox, every other one finds places in it:
// half of the limit if its messages have a cost, else the whole limit. So a source that sends more than a listener handles is
// held back, and holds back no other. The order of the messages of one source is kept. The source that came first has a queue
// of its own, and all others share 64 queues by their numbers; so an inbox holds in all at most about twice what it holds of
// one source, however many sources there are.
package minibus
