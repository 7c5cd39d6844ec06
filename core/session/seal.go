package session

import (
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
)

// sealer closes frames on their way from the session to a path and opens them on their way back. It is chosen by the
// pair of incarnations in the head, which stays readable. Numbers, acknowledgements and messages are all inside.
//
// The only one so far is checksum. One that encrypts is made when two incarnations pair, from what they exchanged in
// their hellos; frames may be lost, doubled and overtake one another, so it has to carry its nonce in the frame. It
// need not keep a replay window: numbers and generations inside do that.
type sealer interface {
	// seal closes the frame, of which the head is complete, in place, and appends tagSize bytes to it.
	seal(frame []byte) []byte
	// open returns the body of a frame. The body may alias the frame, which open may change.
	open(frame []byte) ([]byte, error)
}

// sealer is the one for frames with that head.
func (s *session) sealer(_ head) sealer { return checksum{} }

// checksum finds frames that were damaged or cut by accident. It does not protect against anybody.
type checksum struct{}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (checksum) seal(frame []byte) []byte {
	return binary.BigEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
}

func (checksum) open(frame []byte) ([]byte, error) {
	end := len(frame) - tagSize
	if end < headSize {
		return nil, errShort
	}
	if crc32.Checksum(frame[:end], castagnoli) != binary.BigEndian.Uint32(frame[end:]) {
		return nil, errChecksum
	}
	return frame[headSize:end:end], nil
}

// random is a number that nobody can guess.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}
