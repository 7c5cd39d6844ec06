// Package proof is what a runtime's address proves, and the texts that a runtime signs with its key: the one place
// that both sides of each proof read.
package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// RuntimeID is the identifier in the URL of the runtime with this key: the first 20 bytes of a hash of it, in
// lower-case base32. So the address certifies the key.
func RuntimeID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("protofly runtime id v1"), key...))
	return encoding.EncodeToString(sum[:20])
}

// KeyDerived tells whether runtime's id has the form of [RuntimeID]: such an address belongs to whoever has the key.
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
