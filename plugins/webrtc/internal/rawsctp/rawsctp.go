// Package rawsctp writes SCTP packets that the library never sends. It is for the tests of package transport, and for the program
// that attacks runtimes. It reads private fields of the library by reflection.
package rawsctp

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"reflect"
	"unsafe"

	"github.com/pion/webrtc/v3"
)

// Flags of a chunk of data.
const (
	LastFragment = 1 << iota
	FirstFragment
	Unordered
)

// Overhead is the size of the header of a chunk of data.
const Overhead = 20

// End is one side of an association. It is for one goroutine at a time. The library's own side must not send data any more.
type End struct {
	conn net.Conn // of DTLS
	tag  uint32
	tsn  uint32
}

// Attack is a way to fill a peer's memory. It says which chunk is sent as the n-th.
type Attack struct {
	Name  string
	Chunk func(e *End, i uint32) []byte
}

// Attacks returns the attacks with data that the peer's application never reads.
func Attacks() []Attack {
	const whole = FirstFragment | LastFragment
	return []Attack{
		{"messages that nobody reads", func(e *End, i uint32) []byte { return e.Data(whole, 0, 1+i) }},
		{"messages behind one that never comes", func(e *End, i uint32) []byte { return e.Data(whole, 0, 1<<20+i) }},
		{"messages that are never whole", func(e *End, i uint32) []byte { return e.Data(FirstFragment, 0, 1<<20+i) }},
		{"unordered ones", func(e *End, i uint32) []byte { return e.Data(FirstFragment|Unordered, 0, 1<<20+i) }},
		{"of other streams", func(e *End, i uint32) []byte { return e.Data(FirstFragment, 2+2*uint16(i%16), i/16) }},
		{"whole, of other streams", func(e *End, i uint32) []byte { return e.Data(whole, 2+2*uint16(i%16), i/16) }},
		{"messages that are skipped", func(e *End, i uint32) []byte { return e.Skip(0, 1+i) }},
	}
}

// inside returns a private field of the library, which has no other access to it.
func inside(v reflect.Value, name string) reflect.Value {
	f := v.Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// New takes over a connection whose data channel is open.
func New(pc *webrtc.PeerConnection) (*End, error) {
	transport := pc.SCTP()
	association := inside(reflect.ValueOf(transport), "sctpAssociation")
	if !inside(association, "useInterleaving").Bool() {
		return nil, errors.New("the two ends have not agreed on interleaved chunks")
	}
	lock := inside(association, "lock").Addr()
	lock.MethodByName("Lock").Call(nil)
	defer lock.MethodByName("Unlock").Call(nil)
	return &End{
		conn: inside(reflect.ValueOf(transport.Transport()), "conn").Interface().(net.Conn),
		tag:  uint32(inside(association, "peerVerificationTag").Uint()),
		tsn:  uint32(inside(association, "myNextTSN").Uint()),
	}, nil
}

// Data returns a chunk of one byte, with the next number.
func (e *End) Data(flags byte, stream uint16, message uint32) []byte {
	b := []byte{64, flags, 0, Overhead + 1}
	b = binary.BigEndian.AppendUint32(b, e.tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, message)
	b = binary.BigEndian.AppendUint32(b, 53) // binary
	e.tsn++
	return append(b, 'x', 0, 0, 0)
}

// Skip returns a chunk that says that messages will not come (FORWARD-TSN).
func (e *End) Skip(stream uint16, message uint32) []byte {
	b := []byte{194, 0, 0, 16}
	b = binary.BigEndian.AppendUint32(b, e.tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = append(b, 0, 0)
	e.tsn++
	return binary.BigEndian.AppendUint32(b, message)
}

// Write sends a packet.
func (e *End) Write(chunks ...[]byte) error {
	b := binary.BigEndian.AppendUint16(nil, 5000)
	b = binary.BigEndian.AppendUint16(b, 5000)
	b = binary.BigEndian.AppendUint32(b, e.tag)
	b = append(b, 0, 0, 0, 0)
	for _, c := range chunks {
		b = append(b, c...)
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	_, err := e.conn.Write(b)
	return err
}
