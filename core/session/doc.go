// Package session makes messages between two runtimes arrive once, in order and unread, whatever happens to the paths
// under them. There is one session per remote runtime; paths (doors of stubs) come, change and die below it.
//
// # What is guaranteed
//
// Between two incarnations of two runtimes (an incarnation is one life of a runtime's process):
//
//   - Messages to one destination (an address; its responses apart) are delivered in the order in which they were
//     posted, each at most once; a message is never given to two incarnations of the receiver either.
//   - A message that was posted is taken by its destination, or answered there, or its sender is told: Expired (not
//     acknowledged within its time to live), Reset (the remote runtime lives again, and its last life may or may not have
//     given the messages to their destinations: they are in doubt), Closed (this runtime ends). Nothing is dropped
//     silently. Who wants to know what becomes of a message posts it with [Sessions.Watch] and is told that it was taken
//     (Settled), too; never before that is so.
//   - An acknowledgement means: in the inbox of the remote core. Taken means: the listener's handler has returned, or
//     the application's process has it. What was acknowledged and not taken waits at the remote runtime, as long as
//     that lives and somebody listens there; it does not expire.
//   - A destination that is behind holds up whoever posts to it, and nobody else: not other posters, not other
//     destinations. Beyond its share of the peer's inbox Post waits, in the end for ErrBackpressure.
//   - Nothing that was not sealed by the runtime of that URL is delivered, and nobody on the way can read or alter a
//     message. An address is derived from its runtime's key, so it certifies itself: see [Key] and sdk/proof. Whom to
//     speak with at all is Options.Trust's word.
//   - Nothing is kept for a runtime that has not proven itself, but a handshake under way, for some seconds, in a pool
//     with a bound of its own; where there is much to do not even that, see internal/strangers. What comes by one path uses
//     up nothing of what is computed for others. An idle session is dropped when nothing is under way: see idle.go.
//   - Memory is bounded: unacknowledged messages by Options.RingBytes a peer and Options.Totals.Bytes in all; messages
//     that wait at the receiver by Options.InboxBytes a peer and Options.Totals.Bytes in all. The sender keeps 64 bytes of
//     each message until it is taken. When something is full, Post waits.
//
// # How
//
// Each direction numbers its messages with 64 bits and keeps them until they are acknowledged. The receiver keeps one
// number, the next that it expects: equal is delivered, lower is dropped, higher asks to resume. Acknowledgements are
// cumulative, ride on data or follow after Options.Acks.Frames frames or Options.Acks.Delay. Every time that the sender
// goes back (another path, a gap at the receiver) it starts a new generation, which rises for ever: frames and
// requests of older generations are worth nothing, so that late frames of a path that was left, and the second and
// third request for the same gap, do no harm. Loss at the tail is found by probes.
//
// Before data flows the two incarnations pair: a Noise handshake in which each proves its address and that it lives.
// Therefore no frame of an earlier life, however long a relay kept it, is ever taken for one of this life, without
// anything stored on disk. It costs one round trip in the life of a pair (two where the runtime with the higher URL is
// the first to speak), not one per path. From there on every frame is sealed, with a counter that is taken once.
//
// Messages one behind the other mostly have the same addresses: in a frame they are said once, see wire.Item, and neither
// encoded, sent nor parsed again. A frame needs no other one to be read. Costs are counted as if everything were said of
// each message.
//
// An address of this runtime is announced to the peer before the first message from there, as a record too.
//
// Credit is computed by the sender, from what was posted and not taken yet, and the size of the peer's inbox. The
// receiver says what was taken in records that are numbered, acknowledged and sent again like messages. A listener that is
// full gets a queue and a goroutine, as long as it is.
//
// Such messages are also delivered together, in runs of up to 32: who they are from and who listens is asked once for all
// of them. What a listener leaves of a run is delivered one by one. A frame of some size is opened into memory of its own,
// which the bodies of its messages stay in, unless one to a destination would keep much more memory alive than it has
// bytes: then it is copied. Of smaller frames each body is copied, or the whole.
//
// A message that comes alone wakes nobody: whoever posts it sends it, where the path takes it without waiting, and the
// goroutine that hands a frame to Receive delivers its message. Where messages come in a row the pump sends, and packs
// what has come while it was busy; a frame with many messages is left to the deliverer, while the next one is opened.
// One goroutine at a time sends, and one delivers, whoever it is; that is what keeps the order.
//
// PROTOCOL.md beside this file has every frame.
//
// # Where that is
//
// The rules are in parts that own their state, below internal. A part starts nothing and sends nothing; it is told what happened
// and what time it is, and says what it wants. None of them knows another's fields. Each session has its own of these, which take
// no lock, except where listeners and their goroutines meet them (outcomes.Ledger, the queues of deliver):
//
//	sender     numbers, what is not acknowledged, credit, expiry, reports of the peer
//	receiver   the expected number, duplicates, the inbox, when to acknowledge
//	pairing    which incarnation is the peer, and how another one becomes it
//	paths      which path is used, when it is left, probes
//	outcomes   what the peer is told of its messages, and when it is asked about ours
//	turn       who sends, and when the goroutine that sends looks for work
//	deliver    from batches to listeners, and the queues of destinations that are behind
//
// All sessions of a runtime share these, which therefore have a lock of their own:
//
//	table      where a session is found, which ones make room, when idle ones are looked for
//	strangers  what is kept of runtimes that there is no session with, what they are answered, and what they may cost
//	answers    computes and sends what strangers are answered, a path at a time
//	memory     what the messages of all sessions take together
//
// wire is the form of frames; handshake is what two runtimes prove to each other, the keys of a pair, and incarnations.
//
// This package coordinates. session.go has what a session consists of, and its lock; what needs the lock is a method of
// locked. A message that is posted passes post.go (it enters), send.go (frames are made) and pump.go (they are handed to a path).
// A frame that comes passes receive.go, and then deliver.go (to listeners) and settle.go (the peer is told that they have taken
// it). path.go is a path's life, pair.go another peer. sessions.go finds the session, idle.go drops it, and strangers.go makes it.
//
// [Path], [Key] and [Acceptor] are aliases, because the parts below use these types and cannot import this package.
//
// # What it does not do
//
// Whether a message's From belongs to the remote runtime is checked by who gets it. Which path is best is
// Options.Route's answer; the session only says which path carries nothing (Stalled). A path can always refuse to carry,
// and one that is the only one can keep two runtimes from pairing; sizes, times and who speaks with whom it sees. More than
// 256 destinations that one remote runtime holds up here at a time hold up its others as well.
//
// # Life
//
// A session that has something to do has up to two goroutines: the pump, which sends what posters do not and keeps the
// times, and the deliverer; and one for each destination that is held up. They end when there has been nothing to do for
// a while, and their buffers go with them: an idle session is one small struct, until it is dropped after
// Options.IdleTimeout. [Sessions.Close] waits for all of them.
package session
