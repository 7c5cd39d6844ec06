package handshake

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// An incarnation is a number of 64 bits: below, 32 random ones of the life of this runtime's process; above, how many
// sessions it has dropped so far. So no two sessions of a process with one remote runtime have the same incarnation, and a
// peer can tell a process that has started again from one that has dropped an idle session: only in the first case is
// there anything in doubt. See idle.go.

// SameLife tells whether two incarnations are of one process.
func SameLife(a, b uint64) bool { return uint32(a) == uint32(b) }

// AfterDrop is the incarnation of the sessions that are made after one was dropped.
func AfterDrop(incarnation uint64) uint64 { return incarnation + 1<<32 }

// AfterLoss is AfterDrop where a session was dropped that a message may have come in by without a word to its sender: to
// the peer it looks as if this runtime had started again.
func AfterLoss(incarnation uint64) uint64 {
	for {
		if life := uint32(NewIncarnation()); life != uint32(incarnation) {
			return incarnation&^math.MaxUint32 + 1<<32 | uint64(life)
		}
	}
}

// NewIncarnation is that of a process that nobody can guess. Its lower half is never 0.
func NewIncarnation() (incarnation uint64) {
	var b [8]byte
	for uint32(incarnation) == 0 {
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		incarnation = binary.BigEndian.Uint64(b[:])
	}
	return incarnation
}
