// Package strangers is what is kept of remote runtimes that have not proven who they are, what they are answered, and what may be
// computed because of them: a pool of handshakes under way, cookies of which nothing is kept, and limits that none of them can
// use up for others.
//
// [Strangers.Greet] takes a frame and says what it asks for: hellos that go back, a [Task] that is to be computed while nobody
// waits, the keys of a handshake that has ended. [Strangers] starts nothing and sends nothing. All sessions of a runtime share
// it, so it has a lock of its own, unlike the parts that one session owns. That lock is not held while a handshake is computed.
package strangers
