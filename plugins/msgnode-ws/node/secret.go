package node

import (
	"crypto/rand"
	"encoding/hex"
)

// newSecret is 16 random bytes in hex.
func newSecret() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// newGUID is a random identifier in the specification's form.
func newGUID() string {
	h := newSecret()
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
