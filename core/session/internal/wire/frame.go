package wire

import (
	"encoding/binary"
	"errors"

	"github.com/protofly/protofly/sdk"
)

// The first bytes of a frame, which every frame has and no seal hides: they say which keys to open it with.
const (
	Version    = 4
	HeadSize   = 1 + 1 + 8 + 8        // version, kind, sender's and remote's incarnation
	nonceSize  = 4 + 8                // epoch, counter
	SealedHead = HeadSize + nonceSize // of every frame but a hello; the seal covers it
	TagSize    = 16
	fieldsSize = 8 * binary.MaxVarintLen64

	// FrameOverhead is the most that a frame takes besides its messages.
	FrameOverhead = SealedHead + fieldsSize + TagSize
	// MaxMessage is the largest message, in binary form, that fits a frame with its lengths in front. All of a frame
	// together have no more than that either, were everything said of each.
	MaxMessage = sdk.MaxFrame - FrameOverhead - 2*binary.MaxVarintLen32
	// MaxNumber bounds what is accepted as a number or generation, so that sums cannot overflow.
	MaxNumber = 1 << 62
)

type Kind uint8

// The kinds of frames. A frame of an unknown kind is dropped: newer peers may send some.
const (
	Hello  Kind = 1 + iota // pairs two incarnations: a step of the handshake, the only kind that is not sealed
	Data                   // messages
	Ack                    // acknowledgement alone
	Probe                  // asks for an acknowledgement at once
	Resume                 // asks to send again from next, in a new generation
)

var (
	ErrShort   = errors.New("frame is cut off")
	ErrVersion = errors.New("frame of another version")
	errKind    = errors.New("frame of an unknown kind")
	ErrFields  = errors.New("frame has impossible numbers")
)

// Head is what stands first in every frame.
type Head struct {
	Kind     Kind
	From, To uint64 // incarnations of the sender and of the runtime that it means; to 0: it knows none

	// Of sealed frames only; together they are the nonce.
	Epoch   uint32 // of the sender's key, from 0
	Counter uint64 // of the sender's frames, from 0, over all epochs
}

func AppendHead(b []byte, h Head) []byte {
	b = append(b, Version, byte(h.Kind))
	b = binary.BigEndian.AppendUint64(b, h.From)
	b = binary.BigEndian.AppendUint64(b, h.To)
	if h.Kind == Hello {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, h.Epoch)
	return binary.BigEndian.AppendUint64(b, h.Counter)
}

func ParseHead(frame []byte) (Head, error) {
	switch {
	case len(frame) < HeadSize:
		return Head{}, ErrShort
	case frame[0] != Version:
		return Head{}, ErrVersion
	}
	h := Head{
		Kind: Kind(frame[1]),
		From: binary.BigEndian.Uint64(frame[2:]),
		To:   binary.BigEndian.Uint64(frame[10:]),
	}
	switch {
	case h.From == 0:
		return Head{}, ErrFields
	case h.Kind == Hello:
		return h, nil
	case h.Kind < Hello || h.Kind > Resume:
		return Head{}, errKind
	case len(frame) < SealedHead+TagSize:
		return Head{}, ErrShort
	}
	h.Epoch = binary.BigEndian.Uint32(frame[HeadSize:])
	h.Counter = binary.BigEndian.Uint64(frame[HeadSize+4:])
	if h.Counter > MaxNumber {
		return Head{}, ErrFields
	}
	return h, nil
}

// Fields is the body of every other frame, without the messages that may follow.
type Fields struct {
	Gen   uint64 // generation of the sender's frames
	Seen  uint64 // highest generation that the sender has seen from the other side
	Next  uint64 // number that the sender expects next: it has all below
	Room  uint64 // bytes that its inbox still takes, counted from next
	Base  uint64 // lowest number that the sender may still send: all below are acknowledged or given up
	First uint64 // number of the first message in this frame; without one, of the next that will be sent
	Epoch uint64 // highest epoch of the other side's keys that the sender has seen
	Inbox uint64 // bytes that its inbox takes in all
}

func (f *Fields) Append(b []byte) []byte {
	for _, v := range [...]uint64{f.Gen, f.Seen, f.Next, f.Room, f.Base, f.First, f.Epoch, f.Inbox} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// ParseFields reads the fields and returns the bytes of the messages after them.
func ParseFields(body []byte) (f Fields, messages []byte, err error) {
	for _, p := range [...]*uint64{&f.Gen, &f.Seen, &f.Next, &f.Room, &f.Base, &f.First, &f.Epoch, &f.Inbox} {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return Fields{}, nil, ErrShort
		}
		if v > MaxNumber {
			return Fields{}, nil, ErrFields
		}
		*p, body = v, body[n:]
	}
	if f.Gen == 0 || f.Next == 0 || f.Base == 0 || f.First < f.Base {
		return Fields{}, nil, ErrFields
	}
	return f, body, nil
}
