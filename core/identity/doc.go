// Package identity is who a runtime is: an Ed25519 key, made at the first start and kept in the data folder, and the
// runtime's URL, whose id is derived from the key, so that the address certifies the key and nobody else can prove to
// own it.
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
// Runtimes whose address is derived from no key, those of the reference implementation, can prove nothing and have no
// sessions. With them this runtime speaks only where [WithoutSessions] allows it.
//
// [Trust] is the configuration of whom this runtime speaks with: everybody who proves its address, or only the
// runtimes of an allow-list; and what is believed about who owns the name of a hyperty: the runtime that signed for it last, of what
// the Domain Registry has, or the one that was found first ([Pinned]). A [Policy] decides by it, and keeps what was said first in [KnownFile] in the data folder.
package identity
