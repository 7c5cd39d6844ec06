package session

import (
	"crypto/sha256"
	"encoding/hex"
)

// FrameName names a frame in traces: the same wherever it is seen, sealed or not.
func FrameName(frame []byte) string {
	sum := sha256.Sum256(frame)
	return hex.EncodeToString(sum[:8])
}
