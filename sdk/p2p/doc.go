// Package p2p holds the P2P Requester and the P2P Handler once for all transports (specification, "P2P connection
// set-up"). The author of a transport implements [Transport] and [Channel]; the whole of the plug-in is
//
//	func main() { sdk.Serve(sdk.Descriptor{Name: "…", Kind: sdk.KindP2P, …}, p2p.Stub(New)) }
//
// A transport whose connections are streams of bytes makes its channels with [StreamChannel]. For a network with a listener and
// a dial function, as TCP has them, package streams is a whole Transport: its author writes little more than these two.
//
// A runtime has one Handler for each transport, which serves any number of peers, and one Requester for each peer that
// it has asked for a connection. All of a plug-in's instances run in one process and share one Transport.
//
// # The set-up
//
// It has two Connection data objects, one in each direction; each side is the Reporter of its own and observes the
// other's. The [Signals] of a transport are their contents: this side's description and candidates are attributes of
// its own object, the other side's are read from the observed one.
//
//	Requester                                        Handler
//	status created
//	C1 := create Connection object
//	Transport.Connect → proof and description into C1
//	status in-progress
//	invite the Handler ─────────────────────────────→ status created, as a request: the registry
//	                                                  consents, or refuses with 409 (glare)
//	                  ←───────────────────────── 200
//	                                                  observe C1
//	                                                  C2 := create Connection object
//	                                                  Transport.Connect → proof and description into C2
//	                                                  status in-progress
//	                  ←───────────────────────────── invite the Requester
//	observe C2
//	                   candidates, both ways, as they are found
//	Connect returns a Channel                         Connect returns a Channel
//	                   a proof each way, the first frames
//	door: the Requester's URL
//	status live                                       status live
//	                                                  registry: subscribe the p2p-connectionUrl; that door is opened
//	                   frames, both ways, untouched
//
// C2 names C1 in a member "offer", which the specification does not have: so a late answer to an earlier set-up is recognised
// and dropped. After live neither object changes any more (specification, "Echo hazard"). Both are deleted when
// the connection has ended.
//
// # Proofs
//
// A description has what the transport authenticates its channel by: a certificate's hash, a fingerprint. Each description is
// signed with the key from which its runtime's address is derived, so that nobody that carries the signalling can replace
// it. The core signs (execute sign at <runtime>/identity, params ["p2p", other runtime, "offer",
// "answer" or "channel", digest in base64]); the key never leaves it. What is signed is the text of proof.P2P: the part,
// both runtimes, the side and a digest. A Connection object has a member beside those of the specification:
//
//	"connectionProof": {"key": …, "nonce": …, "signature": …}     base64: 32 bytes, 16 random ones, 64
//
// which is set before connectionDescription. The digests are SHA-256 of these parts, each with its length in 8 bytes
// (big-endian) before it:
//
//	the offer's digest in an answer, nothing in an offer
//	the Connection object's address, the Requester's, the Handler's, canonical
//	the nonce
//	the description: JSON without white space, the members of objects in the order of their names' bytes, numbers as
//	they were written, and in strings nothing escaped but what must be, U+2028 and U+2029
//
// So an answer belongs to one offer, and its digest identifies the set-up. The set-up fails at a side that reads a description
// without the right proof; the transport is not given such a description. It is given the bytes that were signed. Candidates
// are not signed: they say where a runtime may be reached, not which runtime it is.
//
// When there is a channel, each side proves in it that it is the runtime that has signed. The first frame of each is
//
//	"protofly p2p proof" 0x00 0x01, and the signature of "channel" with the answer's digest
//
// and nothing else is sent or taken before both have been verified: within 5 s, or the set-up fails. The core is asked for this
// signature while the transport connects.
//
// Runtimes whose address is not derived from a key cannot prove anything: they are refused.
//
// # Statuses
//
// They are posted to <stub>/status with the remote runtime as resource, in the specification's order: created →
// in-progress → live, then disconnected; created or in-progress → failed. desc says why. Nothing is posted by an
// instance that is being ended, nor for a connection that a newer invitation of the same runtime replaced.
//
// # A new connection beside a live one
//
// A Handler that gets an invitation of a runtime with which it has a live connection ends that connection at once: the other side
// would not invite if it had not lost it. If the registry answers the status created with {keep: true}, the live connection
// goes on until the new one is live. Until then the status disconnected means the old connection, every other status
// the new one. After that no status of the old one is posted, and the other side closes it.
//
// # Commands
//
// They come from <runtime>/registry:
//
//	execute connect [Handler URL]          a Requester sets up again, with a new Connection object
//	execute disconnect [remote runtime]    the connection or the set-up with that runtime is closed
//	subscribe {subscribe: [URL], peer}     a Handler opens the door URL for the live connection with that runtime
//
// A Requester that was Restarted waits for "connect" before it does anything.
//
// # Glare
//
// Glare means that both runtimes invite each other at the same time. Then the registries decide whose invitation counts. A
// Requester whose invitation is refused with 409 does not fail at once: the other side's invitation is on its way, and the
// registry ends this Requester when that has come. If it does not come within the 15 s of a set-up, the Requester reports
// failed.
//
// # Limits
//
// A set-up takes at most 15 s. The registry has 2 s to answer created and 10 s to subscribe after live. A Handler serves
// 4,096 peers, 256 of them in set-up. One runtime may begin 10 connections at once, and one more each 1.3 s; those that
// become live count a quarter. A runtime that broke the transport's protocol ([ErrBroken]) is refused for 5 s, and for
// twice as long each time, up to 5 minutes, until it has kept to it for 10 minutes. An invitation beyond one of these limits
// is refused with 429. A description has at most 64 KiB; 64 candidates of 4 KiB are taken, the others are dropped. All
// candidates together have at most 128 KiB, and the Connection object 144 KiB: with more the set-up fails. Frames that come
// before the door is open stay in the channel, which stops the peer from sending when it is full.
package p2p
