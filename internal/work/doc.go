// Package work has keyed work queues: work of one key runs in order, work of different keys runs in parallel. A queue is bounded,
// and has a goroutine only while there is work.
//
// [Lane] and [Lanes] are states: they take no lock and start no goroutine, but say when the owner has to start one. The owner's
// lock guards them. A Lane is the queue of one worker, in which the sources of the work take turns. Lanes has a Lane for each
// key. [Queue] is Lanes with a lock and goroutines, and [Jobs] is a Queue of functions. All of them store items in blocks
// of a shared pool, and use no memory while they are empty.
//
// [Group] has goroutines that belong to no key: End ends all of them, and Wait waits for them.
package work
