package proof

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// Part is what a signature of a P2P set-up is of.
type Part string

// The parts. A Requester signs its offer, a Handler its answer, and both what they prove in the channel.
const (
	Offer   Part = "offer"
	Answer  Part = "answer"
	Channel Part = "channel"
)

// DigestSize is the size of the digests that are signed, those of SHA-256.
const DigestSize = 32

// ErrSignature says that a signature does not prove what it should.
var ErrSignature = errors.New("wrong signature")

// P2P is the text that the runtime signer signs in a set-up with the runtime peer. requester: signer's side is the
// Requester's. No two parts, pairs of runtimes or sides have the same text, and no other proof has a text that begins with the
// same name.
func P2P(part Part, signer, peer message.URL, requester bool, digest []byte) []byte {
	side := "handler"
	if requester {
		side = "requester"
	}
	return []byte("protofly p2p " + string(part) + " v1\x00" + string(signer.Canonical()) + "\x00" + string(peer.Canonical()) + "\x00" +
		side + "\x00" + string(digest))
}

// VerifyP2P tells whether signature is signer's under [P2P] of the rest, and key the one that signer's address is
// derived from. The error wraps [ErrSignature] and says what is wrong.
func VerifyP2P(part Part, signer, peer message.URL, requester bool, digest, key, signature []byte) error {
	switch {
	case len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize || len(digest) != DigestSize:
		return fmt.Errorf("%w: a key of %d bytes, a signature of %d and a digest of %d", ErrSignature, len(key), len(signature), len(digest))
	case strings.TrimPrefix(signer.Runtime().Path(), "/") != RuntimeID(key):
		return fmt.Errorf("%w: its key is not the one that %s is derived from", ErrSignature, signer)
	case !ed25519.Verify(key, P2P(part, signer, peer, requester, digest), signature):
		return fmt.Errorf("%w: it is not %s's for this %s to %s", ErrSignature, signer, part, peer)
	}
	return nil
}
