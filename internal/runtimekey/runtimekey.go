// Package runtimekey has what follows from a runtime's Ed25519 key: the identifier in the runtime's URL, and the certificate of the
// key with which the runtime makes its sessions. The other signatures of a runtime are in sdk/proof.
package runtimekey

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

// ID is the identifier in the URL of the runtime with this key: the first 20 bytes of a hash of it, in lower-case base32.
func ID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("protofly runtime id v1"), key...))
	return encoding.EncodeToString(sum[:20])
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
	if id := strings.TrimPrefix(runtime.Runtime().Path(), "/"); id != ID(key) {
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
