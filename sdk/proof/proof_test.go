package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"go.uber.org/goleak"

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
