// Package proof makes and verifies what a runtime proves with its Ed25519 key, from which its address is derived: that it is
// the one that connects to a Message Node ([MessageNode]), that an entry of a Domain Registry is its own ([Entry]), and that it
// takes part in the set-up of a P2P connection ([P2P]).
//
// It is for authors of Message Nodes, of their stubs, and of P2P stubs that do not use sdk/p2p. Applications and transports do not
// need it.
//
// The texts that are signed are defined here, byte for byte. Each begins with a name of its own, so that no text can stand for
// another, nor for the text by which a runtime certifies the key of its sessions.
package proof

import (
	"crypto/ed25519"
	"strings"

	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

// RuntimeID is the identifier in the URL of the runtime with this key: the first 20 bytes of a hash of it, in
// lower-case base32. So the address certifies the key.
func RuntimeID(key ed25519.PublicKey) string { return runtimekey.ID(key) }

// KeyDerived tells whether runtime's id has the form of [RuntimeID]: such an address belongs to the owner of the key from
// which it is derived.
func KeyDerived(runtime message.URL) bool {
	id := strings.TrimPrefix(runtime.Base().Path(), "/")
	if len(id) != 32 {
		return false
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// MessageNode is the text that a runtime signs to prove its key to the Message Node of domain, which sent the
// challenge. It names the domain, so that one node cannot use the proof at another.
func MessageNode(domain string, runtime message.URL, challenge []byte) []byte {
	return []byte("protofly message-node auth v1\x00" + domain + "\x00" + string(runtime) + "\x00" + string(challenge))
}
