package identity

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/protofly/protofly/sdk/proof"
)

// SessionKey is the X25519 key with which this runtime makes its sessions, and the certificate that it is this
// runtime's. It is derived from the runtime's key: one file to keep, and the same after a restart.
func (i *Identity) SessionKey() (private, certificate []byte, err error) {
	private, err = hkdf.Key(sha256.New, i.key.Seed(), nil, "protofly session key v1", 32)
	if err != nil {
		return nil, nil, fmt.Errorf("session key: %w", err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("session key: %w", err)
	}
	return private, proof.Certify(i.key, i.url, key.PublicKey().Bytes()), nil
}
