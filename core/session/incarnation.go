package session

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// An incarnation is a number of 64 bits: below, 32 random ones of the life of this runtime's process; above, how many
// sessions it has dropped so far. So no two sessions of a process with one remote runtime have the same incarnation, and a
// peer can tell a process that has started again from one that has dropped an idle session: only in the first case is
// there anything in doubt. See idle.go.

// sameLife tells whether two incarnations are of one process.
func sameLife(a, b uint64) bool { return uint32(a) == uint32(b) }

// afterDrop is the incarnation of the sessions that are made after one was dropped.
func afterDrop(incarnation uint64) uint64 { return incarnation + 1<<32 }

// afterLoss is afterDrop where a session was dropped that a message may have come in by without a word to its sender: to
// the peer it looks as if this runtime had started again.
func afterLoss(incarnation uint64) uint64 {
	for {
		if life := uint32(random()); life != 0 && life != uint32(incarnation) {
			return incarnation&^math.MaxUint32 + 1<<32 | uint64(life)
		}
	}
}

// random is a number that nobody can guess.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}
