package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRuntimeID(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	// Addresses outlive versions: what a key's address is may never change.
	const want = "xydhp6rgojh5shp3mnuxwybl2fnklbo4"
	if got := proof.RuntimeID(key); got != want {
		t.Errorf("the address of the zero key is %s, want %s", got, want)
	}
	for runtime, derived := range map[message.URL]bool{
		"hyperty-runtime://example.com/" + want:                               true,
		"runtime://example.com/" + want + "/sm":                               true,
		"hyperty-runtime://example.com/r-alice":                               false,
		"hyperty-runtime://example.com/" + want + "a":                         false,
		"hyperty-runtime://example.com/" + "1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": false,
	} {
		if proof.KeyDerived(runtime) != derived {
			t.Errorf("%s: derived is not %v", runtime, derived)
		}
	}
}

func TestTextsDiffer(t *testing.T) {
	a := proof.MessageNode("example.com", "hyperty-runtime://example.com/r", []byte("x"))
	for _, b := range [][]byte{
		proof.MessageNode("example.org", "hyperty-runtime://example.com/r", []byte("x")),
		proof.MessageNode("example.com", "hyperty-runtime://example.com/q", []byte("x")),
		proof.MessageNode("example.com", "hyperty-runtime://example.com/r", []byte("y")),
	} {
		if bytes.Equal(a, b) {
			t.Errorf("one text for two proofs: %q", a)
		}
	}
}

func TestP2P(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	me := message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(public))
	const peer = "hyperty-runtime://example.org/peer"
	digest := bytes.Repeat([]byte{7}, proof.DigestSize)
	good := ed25519.Sign(key, proof.P2P(proof.Offer, me, peer, true, digest))
	verify := func(part proof.Part, signer, peer message.URL, requester bool, digest []byte) error {
		return proof.VerifyP2P(part, signer, peer, requester, digest, public, good)
	}
	for name, err := range map[string]error{
		"it":                      verify(proof.Offer, me, peer, true, digest),
		"the scheme's other form": verify(proof.Offer, "runtime"+me[len("hyperty-runtime"):], "runtime://example.org/peer", true, digest),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	text := proof.P2P(proof.Offer, me, peer, true, digest)
	for name, err := range map[string]error{
		"another part":     verify(proof.Channel, me, peer, true, digest),
		"another signer":   verify(proof.Offer, "hyperty-runtime://example.org"+me[len("hyperty-runtime://example.com"):], peer, true, digest),
		"another peer":     verify(proof.Offer, me, "hyperty-runtime://example.org/other", true, digest),
		"the other side":   verify(proof.Offer, me, peer, false, digest),
		"another digest":   verify(proof.Offer, me, peer, true, bytes.Repeat([]byte{8}, proof.DigestSize)),
		"a short digest":   verify(proof.Offer, me, peer, true, digest[1:]),
		"another's key":    proof.VerifyP2P(proof.Offer, me, peer, true, digest, other.Public().(ed25519.PublicKey), ed25519.Sign(other, text)),
		"no key":           proof.VerifyP2P(proof.Offer, me, peer, true, digest, nil, good),
		"a cut signature":  proof.VerifyP2P(proof.Offer, me, peer, true, digest, public, good[1:]),
		"no signature":     proof.VerifyP2P(proof.Offer, me, peer, true, digest, public, nil),
		"another proof's":  proof.VerifyP2P(proof.Offer, me, peer, true, digest, public, runtimekey.Certify(key, me, digest)[32:]),
		"a node's":         proof.VerifyP2P(proof.Offer, me, peer, true, digest, public, ed25519.Sign(key, proof.MessageNode("example.com", me, digest))),
		"no runtime's":     verify(proof.Offer, "hyperty://example.com/x", peer, true, digest),
		"not base32 of it": verify(proof.Offer, "hyperty-runtime://example.com/r-alice", peer, true, digest),
	} {
		if !errors.Is(err, proof.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
