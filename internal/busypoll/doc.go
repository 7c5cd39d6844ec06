// Package busypoll waits for input: awake for a moment where the last input came soon, asleep otherwise.
//
// Whoever sleeps in the kernel has to be woken. On a processor that had nothing else to do that takes far longer than what
// a message needs of it: it has been halted, in a virtual machine by the hypervisor, and to wake it costs some 40 µs, which
// the one that wakes pays too. A message and its answer go through four processes, each of which is woken for it and has
// the others woken. So a process that is in the middle of a conversation looks for more for a while before it sleeps: on
// two processors of a virtual machine that makes a round trip three times as quick.
//
// # When
//
// A [Waiter] looks for its limit at most, [Usual] if nothing else is said, and only where its last wait was shorter than
// twice that. So what is idle, or gets a message now and then, spends nothing. Where it has looked in vain it sleeps the
// next time, then the next three times, and so on up to [maxSkipped]: a steady stream whose messages are just too far apart
// costs a percent of a processor.
//
// While it looks it gives the processor to whoever has use for it, goroutines and other processes. Where others do keep
// it, no processor is halted that would have to be woken, and who asks again and again falls behind all others: then it
// sleeps at once for some time, each time for twice as long, up to [maxPause], until that has not happened for as long.
//
// Nor does it look while the process carries a stream, more than 16 MiB a second: then there is enough to do, and what
// comes while it sleeps is read at once. Whoever uses a Waiter says with [Carried] how much came and went.
//
// # One at a time
//
// Go's scheduler asks the kernel for input when no goroutine can run, and one that looks can always run: with one processor
// for goroutines, all other descriptors of the process would go unnoticed meanwhile. So one Waiter of a process looks at a
// time, for all of them, and goes to sleep as soon as another's descriptor has something, which the scheduler then finds.
//
// Only Linux gives the processor away so that this is of use; elsewhere a Waiter sleeps.
package busypoll
