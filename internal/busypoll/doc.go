// Package busypoll waits for input. It polls for a moment where the last input came soon after the one before, and sleeps in the
// kernel otherwise.
//
// A process that sleeps in the kernel has to be woken. If its processor has nothing else to do, the processor has been halted (in
// a virtual machine by the hypervisor), and waking it takes some 40 µs, far longer than the work for one message. The process
// that wakes it spends time too. A message and its answer go through four processes, each of which has to be woken. So a process
// in the middle of a conversation polls for the next message for a while before it sleeps. On a virtual machine with two
// processors a round trip then takes a third of the time.
//
// # When a Waiter polls
//
// A [Waiter] polls for its limit at most ([Usual] by default), and only if its last wait was shorter than twice the limit. So an
// idle connection, or one with a message now and then, costs nothing. After a poll without success it sleeps the
// next time, then the next three times, and so on up to [maxSkipped]. So a steady stream whose messages come just too seldom
// costs one percent of a processor.
//
// While it polls, it yields the processor to other goroutines and processes. If a yield takes long, others need the processor,
// and polling is of no use, since no processor is halted. Then it does not poll for some time: twice as long each time, up to
// [maxPause], until no yield has taken long for that time.
//
// It does not poll either while the process carries a stream of more than 16 MiB a second: then the process has enough to do,
// and hardly sleeps. The users of Waiters report with [Carried] how much they have read and written.
//
// # One at a time
//
// Go's scheduler asks the kernel for input when no goroutine can run, but a goroutine that polls can always run. With one processor
// for goroutines, the input of all other descriptors would not be noticed. So only one Waiter of a process polls at a
// time. It watches the descriptors of all Waiters, and stops as soon as another one has input, which the scheduler then finds.
//
// Polling is only of use with Linux's sched_yield; on other systems a Waiter always sleeps.
package busypoll
