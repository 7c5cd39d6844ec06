// Package proof makes and verifies what a runtime proves with its Ed25519 key, from which its address is derived: that it is
// the one that connects to a Message Node, that an entry of a Domain Registry is its own, that it takes part in the set-up of
// a P2P connection, and that a session's key is its own. The texts that are signed are defined here, byte for byte; none of
// them can be taken for another.
package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
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

// CertificateSize is the size of a certificate of [Certify].
const CertificateSize = ed25519.PublicKeySize + ed25519.SignatureSize

// ErrCertificate is the error of a certificate that does not prove that a session key belongs to a runtime.
var ErrCertificate = errors.New("wrong certificate")

// Certify makes the certificate that session, the public half of an X25519 key, is the key with which runtime makes
// its sessions: the runtime's Ed25519 key, of which its address is derived, and its signature.
func Certify(key ed25519.PrivateKey, runtime message.URL, session []byte) []byte {
	public, _ := key.Public().(ed25519.PublicKey)
	return append(append(make([]byte, 0, CertificateSize), public...), ed25519.Sign(key, sessionKey(runtime, session))...)
}

// VerifyCertificate tells whether the certificate is runtime's, for that session key. The error wraps [ErrCertificate]
// and says what is wrong.
func VerifyCertificate(runtime message.URL, session, certificate []byte) error {
	if len(certificate) != CertificateSize {
		return fmt.Errorf("%w: it has %d bytes, want %d", ErrCertificate, len(certificate), CertificateSize)
	}
	key, signature := ed25519.PublicKey(certificate[:ed25519.PublicKeySize]), certificate[ed25519.PublicKeySize:]
	if id := strings.TrimPrefix(runtime.Runtime().Path(), "/"); id != RuntimeID(key) {
		return fmt.Errorf("%w: the key in it is not the one that %s is derived from", ErrCertificate, runtime)
	}
	if !ed25519.Verify(key, sessionKey(runtime, session), signature) {
		return fmt.Errorf("%w: its signature is not of this session key for %s", ErrCertificate, runtime)
	}
	return nil
}

// sessionKey is the text that a runtime signs to certify its session key.
func sessionKey(runtime message.URL, key []byte) []byte {
	return []byte("protofly session key v1\x00" + string(runtime.Canonical()) + "\x00" + string(key))
}
