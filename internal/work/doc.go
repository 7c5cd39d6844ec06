// Package work is work that waits: in order for each key, side by side for different keys, bounded, with a goroutine only while
// there is something to do.
//
// [Lane] and [Lanes] are states: they take no lock and start no goroutine, but say when one is to start, and the lock of their
// owner guards them. A Lane is what waits for one worker, in turns of the sources that it comes from; Lanes are one for each
// key. [Queue] is Lanes with a lock and goroutines, and [Jobs] a Queue of functions. The memory of all of them is blocks, which
// are used again and take nothing while nothing waits.
//
// [Group] is goroutines that belong to no key: they are told to end together, and are waited for.
package work
