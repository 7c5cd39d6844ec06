// Package registry is the runtime's Registry: it knows what runs here and where everything else is, and it answers
// the MessageBus's question "which way does this message go?" (specification, "Resolve").
//
// # What it holds
//
//   - the hyperties and data objects of this runtime, entered at the Domain Registry and refreshed there;
//   - the stubs of this runtime with their states: Message Node stubs, P2P Handlers, P2P Requesters;
//   - the remote runtimes that it has met, and which addresses live there (bounded, expiring);
//   - the P2P connections, at most one for each remote runtime (two while one is renewed), with their states.
//
// # How it works
//
// What the Registry decides is in packages below this one. Each is a state that does no I/O and is told what has happened and what time
// it is:
//
//	directory    remote runtimes, the way to each, and the addresses that live there
//	connections  P2P connections: set-ups, states, renewal; says what it wants done
//	changes      /registry/changes, as the one who has the list and as the one who follows it
//	nodes        which Message Nodes' stubs run, and for whom
//	entries      what a Domain Registry says, and what of it is believed
//	lookups      look-ups that go on, and refusals of the last moment
//	ownnode      what is asked of the own domain's Message Node
//	table, loop  tools: a map that is read without a lock, and the goroutine that writes
//
// The Registry itself moves values between these and does the I/O. One goroutine, the loop, writes all of it: status events, answers, timers
// come to it as tasks. It never waits for a bus, a stub or a deployment; what may block runs in goroutines of its own whose outcome is the
// next task. Resolve runs in its caller's goroutine and only reads, without a lock: the directory, where each remote runtime has an immutable
// record of the way to it that the loop replaces.
//
// A message reads downwards from [Registry.Resolve] in resolve.go; what a stub reports, from receiveStatus in status.go; what other
// runtimes ask, from receive in inbox.go. What the connections want is done in connect.go.
//
// # Resolve, in the specification's order
//
//  1. Back-end function (domain://, global://): the Message Node stub of its domain.
//  2. The address is a component of, or known to live at, a runtime with a live P2P connection: its door. An address
//     that is used for the first time since the connection is live joins the connection's entry.
//  3. Unknown: a read at the Domain Registry of the address's domain, one for any number of waiting messages. Nobody
//     knows it, or no entry is to be believed: 404. Only disconnected entries: 408. No Domain Registry: 504. Refusals are remembered for a second.
//  4. No live connection: the Message Node stub of the remote runtime's domain, deployed if need be. No message waits
//     for a P2P set-up; where policy allows one it is started in the background. While it goes on, or when it has
//     failed (retried with the next transport at once, then with backoff), or when the connection is disconnected
//     (the Requester is asked once to connect again), messages take this way.
//
// Signalling (messages from or to a P2P stub or a Connection object) and responses never start a set-up.
//
// # P2P connections and registry changes
//
// See the packages connections and changes. When a Handler reports live, the Registry does the specification's registration: generates
// the p2p-connectionUrl, adds a listener for it to the MessageBus, subscribes it at the Handler, and then has the connection live. Unless
// switched off, each side of a live connection subscribes to the other's <runtime>/registry/changes.
//
// # Signed entries
//
// What a Domain Registry says is the word of its node, which is not trusted. So every entry that a runtime writes has a
// field more than the specification's, proof: {key, signature, issued, expires}: its Ed25519 key, of which its address is
// derived, and the signature of all that it says in the entry but the status ([proof.Entry] names the fields and
// writes down the bytes). A node keeps the proof as it is; status, times and GUID are the node's own, and decide no more
// than whether an entry is asked for in vain.
//
// A reader takes an entry for none, and says so once in the log and the trace, where
//
//   - its proof is missing, or is not the named runtime's signature of exactly this entry;
//   - the proof has expired, or is of a time to come, by more than a day, which is left to clocks;
//   - it was issued before another one for the address that this reader has believed, by whichever runtime. The newest
//     entry of 2^16 addresses is remembered until it expires.
//
// Whoever wants to send gets a 404 that gives the reason. Of several entries for an address the good one that was issued
// last counts. Where two runtimes sign for one name the later one has it: a name that has moved is followed, and whoever has
// lost it cannot take it back with what it signed before. A runtime whose clock is behind that of the one that had the
// name before is believed when it has caught up. Whether a name may move at all is up to [Trust.Owner], which comes
// first: with pinned names neither a node nor whoever it gives the name to can take it.
//
// A signature holds for a day ([Trust.ProofTime]). Keep-alives come every Expires/2.2, but bring a new signature only
// when half of its time is over, so two a day for each address. Entries without a proof are believed of runtimes that
// cannot sign and that [Trust.Unsigned] allows; of one whose address is derived from a key never.
//
// # Limits and trust
//
// Whose a `from` is, see [Registry.Verify]. The list on /registry/changes comes inside the session with its runtime,
// which authenticates it as a signature would. A remote runtime may use the addresses in it, and messages to those that
// nobody has looked up yet go there: the Domain Registry is asked when somebody else uses such an address, and then
// a signed entry comes before a claim. A claim takes no address that is known as another's, or of this runtime; with
// pinned names it takes none that the Domain Registry has not introduced. Look-ups that only a claim is the reason for
// reach Message Nodes that nobody here uses at two a second, and half of [NodeOptions].Max is kept for own messages.
//
// What a runtime has given up it says inside the session as well, see [Registry.Ended]: nobody sends there any more, and others
// may claim it. For two minutes it counts as announced for messages that have waited here, or overtake the list.
//
// A runtime that has no connection announces the addresses that it posts from in its session, see [Registry.Announced]: so
// its first message from there is not refused because a Message Node is away, and with a live connection it is not held up
// by a look-up either. That claim is worth less than a listed one: without a live connection the runtime may post under the
// address when the Domain Registry, which is asked at once, has said that it is its own, or while its node is away; messages to
// the address go by it only over a live connection. Whoever must not be mistaken for somebody else where the node is away
// pins its name.
//
// # While the own Message Node is away
//
// Nobody who has been served by it waits for it. An address is made here, of random letters, and a name that this process
// has been granted before is used again; both are registered at the node when it is back, and what was unregistered
// meanwhile is taken out. A name that was never granted waits for the node, since another runtime may have it.
//
// All tables are bounded, see [Options].
package registry
