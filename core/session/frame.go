package session

import (
	"encoding/binary"
	"errors"

	"github.com/protofly/protofly/sdk"
)

// The first bytes of a frame, which every frame has and no seal hides: they say which keys to open it with.
const (
	version    = 4
	headSize   = 1 + 1 + 8 + 8        // version, kind, sender's and remote's incarnation
	nonceSize  = 4 + 8                // epoch, counter
	sealedHead = headSize + nonceSize // of every frame but a hello; the seal covers it
	tagSize    = 16
	fieldsSize = 8 * binary.MaxVarintLen64

	// frameOverhead is the most that a frame takes besides its messages.
	frameOverhead = sealedHead + fieldsSize + tagSize
	// maxMessage is the largest message, in binary form, that fits a frame with its lengths in front. All of a frame
	// together have no more than that either, were everything said of each.
	maxMessage = sdk.MaxFrame - frameOverhead - 2*binary.MaxVarintLen32
	// maxNumber bounds what is accepted as a number or generation, so that sums cannot overflow.
	maxNumber = 1 << 62
)

type kind uint8

// The kinds of frames. A frame of an unknown kind is dropped: newer peers may send some.
const (
	hello  kind = 1 + iota // pairs two incarnations: a step of the handshake, the only kind that is not sealed
	data                   // messages
	ack                    // acknowledgement alone
	probe                  // asks for an acknowledgement at once
	resume                 // asks to send again from next, in a new generation
)

var (
	errShort   = errors.New("frame is cut off")
	errVersion = errors.New("frame of another version")
	errKind    = errors.New("frame of an unknown kind")
	errFields  = errors.New("frame has impossible numbers")
)

// head is what stands first in every frame.
type head struct {
	kind     kind
	from, to uint64 // incarnations of the sender and of the runtime that it means; to 0: it knows none

	// Of sealed frames only; together they are the nonce.
	epoch   uint32 // of the sender's key, from 0
	counter uint64 // of the sender's frames, from 0, over all epochs
}

func appendHead(b []byte, h head) []byte {
	b = append(b, version, byte(h.kind))
	b = binary.BigEndian.AppendUint64(b, h.from)
	b = binary.BigEndian.AppendUint64(b, h.to)
	if h.kind == hello {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, h.epoch)
	return binary.BigEndian.AppendUint64(b, h.counter)
}

func parseHead(frame []byte) (head, error) {
	switch {
	case len(frame) < headSize:
		return head{}, errShort
	case frame[0] != version:
		return head{}, errVersion
	}
	h := head{
		kind: kind(frame[1]),
		from: binary.BigEndian.Uint64(frame[2:]),
		to:   binary.BigEndian.Uint64(frame[10:]),
	}
	switch {
	case h.from == 0:
		return head{}, errFields
	case h.kind == hello:
		return h, nil
	case h.kind < hello || h.kind > resume:
		return head{}, errKind
	case len(frame) < sealedHead+tagSize:
		return head{}, errShort
	}
	h.epoch = binary.BigEndian.Uint32(frame[headSize:])
	h.counter = binary.BigEndian.Uint64(frame[headSize+4:])
	if h.counter > maxNumber {
		return head{}, errFields
	}
	return h, nil
}

// fields is the body of every other frame, without the messages that may follow.
type fields struct {
	gen   uint64 // generation of the sender's frames
	seen  uint64 // highest generation that the sender has seen from the other side
	next  uint64 // number that the sender expects next: it has all below
	room  uint64 // bytes that its inbox still takes, counted from next
	base  uint64 // lowest number that the sender may still send: all below are acknowledged or given up
	first uint64 // number of the first message in this frame; without one, of the next that will be sent
	epoch uint64 // highest epoch of the other side's keys that the sender has seen
	inbox uint64 // bytes that its inbox takes in all
}

func (f *fields) append(b []byte) []byte {
	for _, v := range [...]uint64{f.gen, f.seen, f.next, f.room, f.base, f.first, f.epoch, f.inbox} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// parseFields reads the fields and returns the bytes of the messages after them.
func parseFields(body []byte) (f fields, messages []byte, err error) {
	for _, p := range [...]*uint64{&f.gen, &f.seen, &f.next, &f.room, &f.base, &f.first, &f.epoch, &f.inbox} {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return fields{}, nil, errShort
		}
		if v > maxNumber {
			return fields{}, nil, errFields
		}
		*p, body = v, body[n:]
	}
	if f.gen == 0 || f.next == 0 || f.base == 0 || f.first < f.base {
		return fields{}, nil, errFields
	}
	return f, body, nil
}
