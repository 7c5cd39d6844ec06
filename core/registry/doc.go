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
// What the Registry decides is in packages below this one. Each has a state, does no I/O, and is told what has happened and what
// time it is:
//
//	directory    remote runtimes, the way to each, and the addresses that live there
//	connections  P2P connections: set-ups, states, renewal; says what it wants done
//	changes      /registry/changes, as the one who has the list and as the one who follows it
//	nodes        which Message Nodes' stubs run, and for whom
//	entries      what a Domain Registry says, and what of it is believed
//	lookups      one look-up of an address for all that wait for it; the refusals of the last second
//	ownnode      what is asked of the Message Node of this runtime's domain
//	table, loop  tools: a map that is read without a lock, and the goroutine that writes
//
// The Registry itself moves values between these and does the I/O. One goroutine, the loop, makes all changes: status events,
// answers and timers come to it as tasks. It never waits for a bus, a stub or a deployment; what may block runs in a goroutine
// of its own, whose outcome is the next task. Resolve runs in its caller's goroutine. It only reads the directory, without a
// lock: there each remote runtime has an immutable record of the way to it, which the loop replaces.
//
// Where to begin: what happens to a message, at [Registry.Resolve] in resolve.go; what a stub reports, at receiveStatus in
// status.go; what other runtimes ask, at receive in inbox.go; what package connections wants done, in connect.go.
//
// # Resolve, in the specification's order
//
//  1. A back-end function (domain://, global://): the Message Node stub of its domain.
//  2. An address of this runtime that nobody listens to: 404.
//  3. The address is a component of, or known to live at, a runtime with a live P2P connection: the connection's door. The
//     Registry notes which addresses have used a connection; the first use of an address since the connection is live is
//     traced.
//  4. Unknown: a read at the Domain Registry of the address's domain, one for any number of waiting messages. Nobody
//     knows it, or no entry is to be believed: 404. Only disconnected entries: 408, or 404 where their address was given up or is this runtime's. No Domain Registry: 504. Refusals
//     are remembered for a second. Components of an unknown runtime are not looked up: they go as in 5.
//  5. No live connection: the Message Node stub of the remote runtime's domain, deployed if need be. No message waits
//     for a P2P set-up; where policy allows one it is started in the background. While it goes on, or when it has
//     failed (retried with the next transport at once, then with backoff), or when the connection is disconnected
//     (the Requester is asked once to connect again), messages take this way.
//
// Signalling (messages from or to a P2P stub or a Connection object) and responses never start a set-up.
//
// # P2P connections and registry changes
//
// See the packages connections and changes. When a Handler reports live, the Registry does the specification's registration: it
// generates the p2p-connectionUrl, adds a listener for it to the MessageBus, and subscribes it at the Handler. Only then does
// the connection count as live. Unless switched off, each side of a live connection subscribes to the other's
// <runtime>/registry/changes.
//
// # Signed entries
//
// What a Domain Registry says is the word of its node, which is not trusted. So every entry that a runtime writes has a
// field more than the specification's, proof: {key, signature, issued, expires}: its Ed25519 key, of which its address is
// derived, and the signature of all that it says in the entry but the status ([proof.Entry] names the fields and
// writes down the bytes). A node keeps the proof as it is. Status, times and GUID are the node's own and are not signed: by a
// false status a node can keep messages from being sent to a runtime, but cannot have them sent to another one.
//
// A reader ignores an entry, and says so in the log and the trace, at most once an hour, where
//
//   - its proof is missing, or is not the named runtime's signature of exactly this entry;
//   - the proof has expired by more than a day, or was issued more than a day in the future: clocks may differ by so much;
//   - it was issued before another one for the address that this reader has believed, by whichever runtime. The newest
//     entry of 2^16 addresses is remembered until it expires.
//
// A message to an address without another entry is answered with a 404 that gives the reason. Of several valid entries for an
// address the one that was issued last counts, whichever runtime signed it: so a name may move to another runtime, and the one
// that has lost it cannot take it back with an old signature. If the clock of the new runtime is behind, its entry is ignored
// until that clock has passed the time of the old entry. [Trust.Owner] comes first and decides whether a name may move
// at all: with pinned names neither a node nor whoever it gives the name to can take it.
//
// A signature is valid for a day ([Trust.ProofTime]). An entry is refreshed every Expires/2.2, but signed anew only when half of
// the signature's time is over: twice a day. An entry without a proof is believed if its runtime cannot sign and
// [Trust.Unsigned] allows it; never if the runtime's address is derived from a key.
//
// # What becomes of an address
//
// A hyperty has one of three kinds of address:
//
//   - A name (hyperty://<domain>/bob) was wished for. The node gives it to the first runtime that asks for it. The runtime keeps it, also
//     while nobody is registered with it, until it is released ([Registry.Release]): then another runtime may register it at once. The
//     node needs no signature for that but the connection, on which the runtime has proven its key.
//   - An address that the node has made (hyperty://<domain>/<UUID>) goes with its hyperty. A client that registers again after a restart
//     of the runtime gets it again ([Hyperty].Resumed). What a crash leaves of such addresses the node frees, since each process of a
//     runtime asks for its addresses with an allocation key of its own (message.LifeKey).
//   - One below this runtime's own (<runtime>/hyperty/<random>) is ephemeral: only this Registry knows of it, see
//     [Registry.RegisterHyperty].
//
// Nothing is kept in this runtime of an address that was given up, but what package ownnode still owes a node that is away. Remote
// runtimes remember it for two minutes, for messages that are late; the newest entry that they have believed until its signature
// expires, a day later at most, so that nobody brings back an older one. The node's part is in its package registry.
//
// A name that was released does not come back to the runtime that had it: the node lets only the owner of an address register
// it, and a reader who has believed the new owner's entry ignores the old one. A node that cheats can show a reader, who has not
// seen the new one, the old entry until its signature expires: then messages go to the runtime that had the name, which refuses them.
// Pins come before all that: a name that is pinned moves only when the operator of the reader changes the pin.
//
// # Limits and trust
//
// [Registry.Verify] decides which runtime may use an address as `from`. Three things can show that an address is a runtime's:
//
//   - a signed entry at the Domain Registry, which comes before the other two;
//   - the runtime's list on /registry/changes. It comes inside the session, which authenticates it as a signature would;
//   - an announcement in the session, before the first message from the address; see [Registry.Announced].
//
// List and announcement are claims: the runtime's own word. A claim has no effect on an address that is known to be another
// runtime's, or this one's; with pinned names it has none before the Domain Registry has named an owner.
//
// A runtime may post from a listed address, and messages to it go to that runtime, although nobody has looked it up. The Domain
// Registry is asked when another runtime uses the address too. An announced address is treated like a listed one while there is
// a live connection with the runtime. Without one the Domain Registry is asked at once: the runtime may post from the address
// when it has confirmed that, or while its Message Node is away; and messages to the address do not follow the announcement.
// A hyperty that nobody may impersonate even while the node is away needs a pinned name.
//
// A look-up that only a claim has caused is limited: two a second where nobody here uses that Message Node, and half of
// [NodeOptions].Max is kept for this runtime's own messages.
//
// A runtime says in its session which addresses it has given up, see [Registry.Ended]: then nothing is sent there, and
// others may claim them. Its messages from there may be late: for two minutes the address still counts as announced for them.
//
// # While the own Message Node is away
//
// Once the node has answered this runtime, a hyperty can be registered without waiting for it. An address without a name is made
// here, of random letters, and a name that the node has granted to this process before is used again. Both are registered
// when the node is back, and what was unregistered meanwhile is removed there. A name that was never granted waits for the
// node, since another runtime may have it.
//
// All tables are bounded, see [Options].
package registry
