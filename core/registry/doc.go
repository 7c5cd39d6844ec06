// Package registry is the runtime's Registry: it knows what runs in this runtime and which address is at which runtime, and
// it answers the MessageBus's question "which way does this message go?" (specification, "Resolve").
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
// What the Registry decides is in packages below this one. Each has a state and does no I/O; its methods are called with what
// has happened and with the present time:
//
//	directory    remote runtimes, the way to each, and the addresses that live there
//	connections  P2P connections: set-ups, states, renewal; says what it wants done
//	changes      /registry/changes: this runtime's list for its followers, and the lists of others that it follows
//	nodes        which Message Nodes' stubs run, and for whom
//	entries      the entries of Domain Registries, and which of them are believed
//	lookups      one look-up of an address for all callers that wait for it; the refusals of the last second
//	ownnode      what this runtime asks of the Message Node of its own domain
//	table, loop  tools: a map that is read without a lock, and a goroutine that owns a state
//
// The Registry itself moves values between these and does the I/O. One goroutine, the loop, makes all changes: status events,
// answers and timers come to it as tasks. It never waits for a bus, a stub or a deployment: what may block runs in a
// goroutine of its own, whose result is the next task. Resolve runs in its caller's goroutine. It only reads the directory,
// without a lock: the directory has an immutable record of the way to each remote runtime, which the loop replaces.
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
//  4. Unknown: a read at the Domain Registry of the address's domain, one for any number of waiting messages. No entry,
//     or none that is believed: 404. Only disconnected entries: 408, or 404 where their address was given up or is this
//     runtime's. No answer of the Domain Registry: 504. Refusals
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
// What a Domain Registry says is the word of its node, which is not trusted. So an entry that a runtime writes has one field
// more than the specification's, proof: {key, signature, issued, expires}: its Ed25519 key, from which its address is
// derived, and the signature of all fields of the entry but the status ([proof.Entry] names the fields and specifies the
// bytes). A node keeps the proof as it is. Status, times and GUID are the node's own and are not signed: with a false status
// a node can keep messages from being sent to a runtime, but cannot have them sent to another one.
//
// A reader ignores an entry, and reports it in the log and the trace at most once an hour, where
//
//   - its proof is missing, or is not the named runtime's signature of exactly this entry;
//   - the proof has expired more than a day ago, or was issued more than a day in the future: clocks may differ by that much;
//   - it was issued before another entry for the address that this reader has believed, of whichever runtime. The reader
//     remembers the newest entry of 2^16 addresses, each until it expires.
//
// A message to an address without another entry is answered with a 404 that gives the reason. Of several valid entries for an
// address the one that was issued last counts, whichever runtime signed it: so a name may move to another runtime, and the
// old runtime cannot take it back with an old signature. If the clock of the new runtime is behind, its entry is ignored
// until that clock has passed the time of the old entry. [Trust.Owner] is asked first and decides whether a name may move at
// all: a pinned name can be taken neither by a node nor by a runtime to which the node gives it.
//
// A signature is valid for a day ([Trust.ProofTime]). An entry is refreshed every Expires/2.2, but signed anew only when half
// of the signature's time is over: twice a day. An entry without a proof is believed only if the runtime's address is not
// derived from a key, and [Trust.Unsigned] allows it.
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
// [Registry.Verify] decides which runtime may use an address as `from`. Three things can show that an address belongs to a
// runtime:
//
//   - a signed entry at the Domain Registry, which counts for more than the other two;
//   - the runtime's list on /registry/changes, which comes inside the session and so is authentic;
//   - an announcement in the session, before the first message from the address; see [Registry.Announced].
//
// List and announcement are claims: the runtime's own word. A claim has no effect on an address that is known to be another
// runtime's or this one's; on a pinned name it has none before the Domain Registry has named an owner.
//
// A runtime may post from a listed address, and messages to the address go to that runtime, although nobody has looked it up.
// The Domain Registry is asked when another runtime uses the address too. An announced address is treated like a listed one
// while there is a live connection with the runtime. Without one the Domain Registry is asked at once. The runtime may then
// post from the address when the Domain Registry has confirmed it, or while its Message Node is away; and messages to the
// address do not go there because of the announcement. A hyperty that nobody may impersonate even while the node is away
// needs a pinned name.
//
// A look-up that only a claim has caused is limited: two a second where nobody here uses that Message Node, and half of
// [NodeOptions].Max is kept for this runtime's own messages.
//
// A runtime says in its session which addresses it has given up, see [Registry.Ended]: then no message is sent there, and
// others may claim them. Messages from such an address may be late: for two minutes it still counts as announced for them.
//
// # While this runtime's Message Node is away
//
// Once the node has answered this runtime, a hyperty can be registered without waiting for it. For a hyperty without a name
// the Registry makes an address of random letters, and a name that the node has granted to this process before is used again.
// Both are registered when the node is back, and what was unregistered meanwhile is removed there. A name that was never
// granted waits for the node, since another runtime may have it.
//
// All tables are bounded, see [Options].
package registry
