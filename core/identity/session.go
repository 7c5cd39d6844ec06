package identity

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/protofly/protofly/internal/runtimekey"
)

// SessionKey returns the X25519 key of this runtime's sessions, and the certificate that the key belongs to this runtime. It
// is derived from the runtime's key, so it needs no file, and is the same after a restart.
func (i *Identity) SessionKey() (private, certificate []byte, err error) {
	private, err = hkdf.Key(sha256.New, i.key.Seed(), nil, "protofly session key v1", 32)
	if err != nil {
		return nil, nil, fmt.Errorf("session key: %w", err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("session key: %w", err)
	}
	return private, runtimekey.Certify(i.key, i.url, key.PublicKey().Bytes()), nil
}
