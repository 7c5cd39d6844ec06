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
//     acknowledged within its time to live), Reset (the remote runtime has restarted; nobody knows whether its incarnation
//     before gave the messages to their destinations: they are in doubt), Closed (this runtime ends). Nothing is dropped
//     silently. A message that is posted with [Sessions.PostTracked] is also reported when it was taken (Settled), and never before.
//   - Acknowledged means: the message is in the inbox of the remote session, in the remote runtime's memory. Taken means: the
//     listener's handler has returned, or the application's process has the message. A message that was acknowledged and not
//     taken waits at the remote runtime, while that runs and somebody listens there; it does not expire.
//   - A destination that is behind holds up whoever posts to it, and nobody else: not other posters, not other
//     destinations. When the destination has its share of the remote inbox in use, Post waits; if its context ends before
//     there is room, the error is ErrBackpressure.
//   - Nothing that was not sealed by the runtime of that URL is delivered, and nobody on the way can read or alter a
//     message. An address is derived from its runtime's key, so whoever has the address can check the key: see [Key] and
//     sdk/proof. Options.Trust decides with which runtimes there is a session at all.
//   - Of a runtime that has not proven its address only a handshake under way is kept, for some seconds, in a pool with a bound
//     of its own; under load not even that, see internal/strangers. Each stub has an allowance of handshakes, besides one for
//     all: a flood by one stub leaves the others theirs.
//   - A session ends when it has nothing to keep, and when its runtime has gone; see "The end of a session".
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
// anything stored on disk. It costs one round trip for each two incarnations (two where the runtime with the higher URL is
// the first to speak), not one per path. From there on every frame is sealed, and has a number: a frame whose number has been
// seen before is dropped.
//
// Consecutive messages mostly have the same addresses. A frame has these once, before the first of the messages, see wire.Item:
// they are not encoded, sent or parsed again. A frame can be read without any other frame. Limits count each message as if its
// addresses were there.
//
// Besides messages a frame has records: what one session tells the other. Records are numbered, acknowledged and sent again like
// messages. One kind says which messages were taken, and one which were refused, and why: the runtime that they are from
// tells their senders. Another announces an address of this runtime: it goes before the first message from that address.
//
// The sender computes how much it may post to a destination (its credit) from what was posted and not taken yet, and from the
// size of the peer's inbox. While a listener's inbox is full, the session has a queue and a goroutine for it.
//
// Up to 32 consecutive messages with the same addresses are delivered together, as a run: their `from` is checked once, and the
// listener is looked up once. Messages of a run that the listener does not take at once are delivered one by one. A frame of 4
// KiB or more is decrypted into memory of its own, and the bodies of its messages stay there; of the first 8 messages in a row
// to a destination a body is copied if it would keep more than four times its size alive. Bodies of smaller frames are always
// copied, because their memory is the caller's.
//
// Two goroutines belong to a session while it has work: the pump sends, and the deliverer gives messages to listeners. A single
// message needs neither: the goroutine that posts it sends it, if the path takes it without waiting, and at the other side
// the goroutine that calls Receive delivers it. Where messages follow each other quickly the pump sends, and packs
// those together that were posted while it was busy; the deliverer takes frames with many messages, while the next one is opened.
// At any time only one goroutine sends and only one delivers, which keeps the order.
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
//	vigil      whether a peer that is silent has gone
//	outcomes   what the peer is told of its messages, and when it is asked about ours
//	turn       who sends, and when the goroutine that sends looks for work
//	deliver    from batches to listeners, the goroutine for those that wait, and the queues of destinations that are behind
//
// All sessions of a runtime share these, which therefore have a lock of their own:
//
//	table      where a session is found, which ones make room, when idle ones are looked for
//	strangers  what is kept of runtimes that there is no session with, what they are answered, and what they may cost
//	answers    computes and sends what strangers are answered, a path at a time
//	memory     what the messages of all sessions take together
//
// The goroutines of all sessions are one [work.Group], which [Sessions.Close] ends.
//
// wire is the form of frames; handshake is what two runtimes prove to each other, the keys of a pair, and incarnations.
//
// This package coordinates. Of each session, session.go has the lock and the goroutines, and does what is sent and waited for.
// Under the lock there is a machine, which has the parts: it takes no lock, does no I/O and looks at no clock. It is told what
// happened and what time it is, and notes what it wants (see todo). session.unlock does that: it wakes or starts the goroutines,
// lets go of a path that was left, and tells events. sessions.go has the table of sessions, which post.go and strangers.go use.
//
// A message goes out in these steps. Those with a star are the machine's, under the lock:
//
//	Sessions.send      finds the session; a Line remembers it                      post.go
//	session.post       takes the lock; waits where there is no credit or room      session.go
//	machine.take *     puts the message into the ring of the sender                messages.go
//	session.sendNow    has its frame made, seals it and hands it to the path,      session.go
//	                   where nothing else is sent; else the pump does that, with
//	                   up to four frames at once: session.pump, session.sendBatch
//	machine.frame *    packs messages, acknowledgements and records into a frame   send.go
//
// A frame comes in:
//
//	Sessions.Receive   reads its head, finds the session, or greets a stranger     strangers.go
//	session.receive    takes the lock, and gives it back while the frame is opened session.go
//	machine.head *     takes a hello, or says what opens the frame                 receive.go
//	machine.opened *   drops what is replayed, takes what is acknowledged          receive.go
//	machine.accept *   puts what is new into the inbox of the receiver             receive.go
//	Deliverer.Deliver  gives the messages to listeners: in the goroutine of the    internal/deliver
//	                   caller, or in Deliverer.Run
//	host.Owes          is told that listeners have taken some; machine.collect *   session.go
//	                   makes the report to the peer
//
// What is due by time is machine.due, and machine.tick does it; the pump asks both (send.go). path.go changes the path, pair.go the
// incarnation that is the peer. What answers a hello goes by the path that it came by, too (machine.disturbed): the one in use may
// lead to a life of the peer that is over. strangers.go makes a session when a handshake has ended; Sessions.sweep drops one that is
// idle, or whose peer has gone (ending.go).
//
// [Path], [Key] and [Acceptor] are aliases, because the parts below use these types and cannot import this package.
//
// # The end of a session
//
// What is kept of a remote runtime ends within these bounds. They are looked at every half minute.
//
//   - Nothing was exchanged for Options.IdleTimeout (10 min), nothing is under way, there is no direct path, and nothing of this
//     runtime relies on the other one (Silence.Keeps): the session is dropped. Whoever speaks next pairs again, which takes a
//     round trip or two. Nothing is lost, and nothing is in doubt.
//   - The runtime has gone. One that is silent for Silence.Ask (2 min) is asked for a sign of life: once after each use, and again
//     and again where something is kept for it. It has gone when its Message Node says then that it is not connected (3 min after
//     it was heard of last), when it does not answer (Silence.Gone, 5 min), or when there was no way to ask it (Silence.Lost, 1 h).
//     What is kept for it is given up, and the senders are told (Expired, then Gone). While messages of it wait for listeners
//     here it has not gone.
//   - The table of sessions is full: those that are idle for a minute make room.
//
// A runtime that was only out of reach, for long, comes back in the same life to another life of this runtime: it is told of a
// restart (Reset), and what it had sent and has no word of is in doubt there, as after any restart.
//
// # What it does not do
//
// It does not check whether a message's From belongs to the remote runtime: the MessageBus does, to which it gives the message.
// It does not choose the best path: Options.Route does. When nothing is acknowledged on a path, the session reports that
// (Stalled); if the path is direct, core/events has the Registry give the connection up. The session leaves a path by itself
// where sending fails, hangs, or the peer has left the path. A path can always refuse to carry frames, and the only path there
// is can keep two runtimes from pairing. A path also sees sizes, times, and who speaks with whom. Where more than 256
// destinations of one remote runtime's messages are behind here, its messages to other destinations wait as well.
//
// # Life
//
// A session that has something to do has up to two goroutines: the pump, which also does what is due by time, and the
// deliverer. It has one more for each destination that is behind. They end when there has been nothing to do for a while, and
// their buffers go with them: an idle session is one small struct, until it ends.
// [Sessions.Close] waits for all of them.
package session
