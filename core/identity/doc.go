// Package identity has the identity of a runtime: an Ed25519 key, which is made at the first start and kept in the data folder,
// and the runtime's URL. The id in the URL is derived from the key. So the address certifies the key, and nobody else can prove
// to own the address.
//
// The key never leaves this package. Components that must prove something about the runtime to the outside ask for a
// signature at <runtime>/identity, with an execute message, method "sign". The first parameter is the purpose; every
// purpose signs a text of its own form, so that a signature given for one is worthless for another:
//
//	message-node <domain> <challenge>   the proof that a Message Node asks for when a stub connects
//	p2p <runtime> <part> <digest>       the proof to a peer, in a P2P set-up and in its channel (package sdk/p2p)
//
// The first is for the stub of that domain's Message Node only. The second is for P2P stubs only: a Requester signs an
// offer to the one runtime that it is for, a Handler an answer, and each its own side of the channel. So a plug-in can
// say something about its own connections in the runtime's name, and nothing else.
//
// The runtime's entries at Domain Registries are signed by [Identity.SignEntry], which only the core can call.
//
// The key of the runtime's sessions is derived from it ([Identity.SessionKey]) and certified by it.
//
// The address of a runtime of the reference implementation is derived from no key. Such a runtime can prove nothing and has no
// sessions. This runtime exchanges messages with it only where [WithoutSessions] allows it.
//
// [Trust] is the configured trust policy. It says which remote runtimes may exchange messages with this one: all that prove their
// address, or those of an allow-list. It also says which runtime is believed to own the name of a hyperty: the last one that
// signed for it at the Domain Registry ([Any]), or the first one that was found ([Pinned]). A [Policy] decides by it, and keeps
// in [KnownFile] in the data folder which owner was found first.
package identity
