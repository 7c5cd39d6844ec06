// Package node is the Message Node: what runtimes connect to while there is no direct path between them, and where
// addresses are given out and looked up.
//
// It implements these parts of the specification: routing between runtimes, address allocation, the subscription
// manager and the Domain Registry (all reached by messages), and the two JSON dialects of the reference stubs. Its own
// dialect, protofly.v1, is described in ../wire/PROTOCOL.md. [New] starts a node, [Node.Serve] runs it, and
// cmd/msgnode is a command line around them.
//
// # How it is built
//
// All routing goes through NATS, and all state is in JetStream KV (NATS's key-value store): an embedded server without any
// port, or an external cluster. The node itself translates between WebSockets and NATS subjects, so that any number of nodes at
// one cluster serve a domain together.
//
//   - A subject is the hash of a domain and an address, never text from outside (backbone.Subjects).
//   - A node subscribes a subject once however many of its connections want it (backbone.Interests). All its subscriptions share
//     one channel, and one goroutine (routing.Router.Run) moves what comes to the connections' queues without ever
//     blocking. So messages of one sender reach one receiver in order, even if they were for several addresses.
//   - Where nobody has subscribed the subject of a destination, NATS itself says so ("no responders"). The node answers the
//     sender with a 404 response or an Unreachable frame (peers.Questions has what it had sent).
//   - A search for a user or a name has a bounded answer, chosen fairly among all runtimes that have entered something for it
//     (package shelves): no runtime can hide the others' entries by making many.
//   - State is a table.Table: a KV bucket with a copy in memory that follows it. A write is answered when it is on the disk
//     (the embedded server syncs every write), so what was acknowledged survives a kill and a power cut.
//
// # Where what is
//
// This package makes the parts of a node, joins them and ends them; it has no rules. A message meets the parts in this order:
//
//	web            the listener and the HTTP server: connections are counted, and become WebSockets
//	conn           one WebSocket: read, written, pinged, closed; and the memory that is kept for all of them
//	protofly       the dialect protofly.v1: a runtime's key is proved, frames are read
//	reference      the reference's two JSON dialects
//	invites        who is let in, by the rules of admission
//	relay          a message's from is checked; it is answered by a function of the node, or passed on
//	allocation     function: addresses are given out
//	subscriptions  function: who listens where
//	registry       function: the Domain Registry
//	routing        what leads to which connection; what is sent to others, and what comes from them
//	expiry         what ends by time
//
// Each uses those below, which know nothing of a connection's life:
//
//	limits         the numbers that an operator sets, with their defaults
//	rates          what a request costs, and what a connection has left
//	rights         whose an address is
//	writes         whether the state may be written now
//	refusal        how the node says no
//	address        what an address says
//	trace          what crosses the node, for whoever asks
//	quota          network addresses, the count of connections, token buckets, turns
//	outbox         what waits to be written to one connection
//	peers          the peers of one connection, what it may send them, what it has asked
//	refjson        the reference's JSON, read
//	admission      who may use the node: rules, tokens, keys
//	backbone       NATS: the server or the cluster, subjects, interests, the seal of what nodes send each other
//	table          rows in a KV bucket with a copy in memory; shelves is a fair order of those that strangers may make many of
//	state          the tables, and how much may be in them
//
// # Who may do what
//
// A connection of protofly.v1 has proved its runtime's key. It may send from addresses under its runtime's URL and under
// addresses allocated to it, and nothing else. A connection of the JSON dialects (off by default) has proved nothing:
// it can take no runtime URL whose id is derived from a key, and no address that another runtime has. Nothing more can be
// promised about it. An address has one owner: the runtime whose write to the state came first. When it is allocated, the
// subscriptions to it and the routes to it that other runtimes had end. Only the owner may listen at the address
// and free it; only the runtime itself may listen under its URL and change its registrations. A registration names the runtime
// that made it. Its field proof, the signature by which readers believe an entry without trusting the node, is not changed.
//
// At an external NATS the nodes of a domain share a key, by which they know each other's messages (backbone.Seal); NATS.md says
// what else they need there, and who is trusted with what.
//
// # Who may use it, and how much
//
// [Admit] says who may use the node: anyone, runtimes on a list, runtimes with a token of the operator (package admission).
//
// In this section an address is a network address: an IPv4 address or an IPv6 /64 network (quota.Source).
//
//   - Connections are counted as soon as TCP has made them (quota.Connections, web.Listener). A connection that has not proved
//     its runtime has a place in a small pool. When that is full, the address with the most places loses one: so strangers
//     cannot keep a runtime out that can prove its key.
//   - The cost of a request is taken from token buckets before the node works on it (rates.Spending). The node works on the
//     requests of one connection at a time; addresses take turns (quota.Turns), and each address has a largest rate (rates).
//   - The bytes that wait to be written are bounded for each connection and for all together. Beyond the latter, the node takes
//     the address with the most waiting bytes, and closes the connection that has the most there (conn.Set, outbox.Memory).
//   - The state is bounded for a runtime, for an address and in all (state.State).
//
// Every map that is keyed by what strangers choose, and its bound:
//
//   - quota.Connections.sources: at most as many as there are connections, which are counted; an entry goes with its last one.
//   - the buckets of rates.Rates: 16,384 each; the least recently used one makes room.
//   - conn.Set, routing.Roster.runtimes, byID: Limits.Connections and Limits.Unproven.
//   - routing.Roster.missing: runtimes that are not connected and have something in the state; for an hour.
//   - the copies of the tables, their indexes, shelves and weights: Limits.State and Limits.Rows, and RuntimeState and
//     AddressState.
//   - backbone.Interests.bySubject, a routing.Client's routes: what is in the state, and 512 learned addresses of each
//     connection of the JSON dialects.
//   - peers.Peers: 16,384 and 8 MiB a connection, then half is forgotten; peers.Questions: a ring of 512; both count for
//     Limits.Memory.
//   - outbox.Outbox.data: senders that have something waiting in the connection's queue, which is bounded, and 256 more.
//   - quota.Turns.of: addresses with a connection that waits; an entry goes with its last one.
//   - backbone.Seal.nodes: nodes that have proved the domain's secret, until they have been silent; Seal.unknown: 256 other ones.
//   - state.State.Redeemed: tokens that the operator has made, up to 1,000 runtimes each; until the token expires.
//
// # Guarantees and limits
//
// Messages are carried at most once, and in order from each sender to each receiver; the sessions of the runtimes send again
// what was lost. Every connection has a bounded queue, in which the senders of Data (the frames of sessions) take turns
// (outbox.Outbox). If a connection does not take its packets quickly enough, the node drops in this order: Data of the sender
// that has the most in the queue; messages that the connection has asked for neither by a request nor by a subscription. If a
// message that it has asked for has no room then, the node closes the connection and says why. Nobody else waits for
// a slow connection. Limits are in [Limits], with their defaults in [DefaultLimits]; a request that breaks one is answered with a
// response that names it.
//
// A disk that is full, or nearly so, makes writes fail with a response 500; messages go on, and so do writes when there
// is room again.
package node
