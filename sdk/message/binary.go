package message

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Field numbers of the protobuf message Message in sdk/link/link.proto.
const (
	fieldIDNumber = 1
	fieldIDText   = 2
	fieldType     = 3
	fieldFrom     = 4
	fieldTo       = 5
	fieldBody     = 6
	fieldVia      = 7
	fieldSource   = 8
	fieldP2P      = 9
)

const wireVarint, wireBytes = 0, 2

// The binary form has two parts. The routing comes first: everything that messages one behind the other often have in
// common. The own part, ID and body, follows. Code that writes many messages one behind the other may leave out the
// routing where it is that of the message before: see [Message.SameRouting] and [Parser.Own].

// AppendBinary appends the binary form of m to b, which it returns. It allocates only to grow b.
func (m *Message) AppendBinary(b []byte) []byte {
	return append(m.AppendOwnHead(m.AppendRouting(b)), m.Body...)
}

// AppendRouting appends the first part of the binary form: type, from, to, via, source and p2p.
func (m *Message) AppendRouting(b []byte) []byte {
	b = append(b, fieldType<<3|wireVarint, byte(m.Type))
	b = appendField(b, fieldFrom, string(m.From))
	b = appendField(b, fieldTo, string(m.To))
	for _, v := range m.Via {
		b = appendField(b, fieldVia, string(v))
	}
	if m.Source != "" {
		b = appendField(b, fieldSource, string(m.Source))
	}
	switch m.P2P {
	case Yes:
		b = append(b, fieldP2P<<3|wireVarint, 1)
	case No:
		b = append(b, fieldP2P<<3|wireVarint, 2)
	}
	return b
}

// AppendOwnHead appends the second part of the binary form but for the bytes of the body, which end it.
func (m *Message) AppendOwnHead(b []byte) []byte {
	if m.ID.raw != "" {
		b = appendField(b, fieldIDText, m.ID.raw)
	} else if m.ID.n != 0 {
		b = append(b, fieldIDNumber<<3|wireVarint)
		b = binary.AppendUvarint(b, m.ID.n)
	}
	if len(m.Body) > 0 {
		b = append(b, fieldBody<<3|wireBytes)
		b = binary.AppendUvarint(b, uint64(len(m.Body)))
	}
	return b
}

// RoutingSize is how many bytes [Message.AppendRouting] appends.
func (m *Message) RoutingSize() int {
	size := 2 + fieldSize(len(m.From)) + fieldSize(len(m.To))
	for _, v := range m.Via {
		size += fieldSize(len(v))
	}
	if m.Source != "" {
		size += fieldSize(len(m.Source))
	}
	if m.P2P == Yes || m.P2P == No {
		size += 2
	}
	return size
}

// OwnSize is how many bytes the second part of the binary form has.
func (m *Message) OwnSize() (size int) {
	if m.ID.raw != "" {
		size = fieldSize(len(m.ID.raw))
	} else if m.ID.n != 0 {
		size = 1 + uvarintSize(m.ID.n)
	}
	if len(m.Body) > 0 {
		size += fieldSize(len(m.Body))
	}
	return size
}

// SameRouting tells whether the binary forms of m and other begin with the same routing.
func (m *Message) SameRouting(other *Message) bool {
	return m.Type == other.Type && m.To == other.To && m.From == other.From && m.Source == other.Source &&
		m.P2P == other.P2P && slices.Equal(m.Via, other.Via)
}

func uvarintSize(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// fieldSize is how many bytes a field of so many bytes has with its tag and length.
func fieldSize(n int) int { return 1 + uvarintSize(uint64(n)) + n }

func appendField(b []byte, field byte, s string) []byte {
	b = append(b, field<<3|wireBytes)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
