package transport

import (
	"encoding/binary"
	"fmt"
)

// The messages that open a data channel (RFC 8832). A side that opens it need not wait for the acknowledgement.
const (
	dcepAck        = 0x02
	dcepOpen       = 0x03
	dcepHeader     = 12
	dcepNormal     = 256  // priority
	dcepReliable   = 0x00 // and ordered
	maxOpenMessage = 512  // bytes
	maxAck         = 4    // one has one byte; the library pads it
)

// label names the data channel (specification, "WebRTC details").
const label = "P2PChannel"

// openMessage opens the one data channel: ordered, reliable, without a protocol of its own.
func openMessage() []byte {
	b := make([]byte, dcepHeader, dcepHeader+len(label))
	b[0], b[1] = dcepOpen, dcepReliable
	binary.BigEndian.PutUint16(b[2:], dcepNormal)
	binary.BigEndian.PutUint16(b[8:], uint16(len(label)))
	return append(b, label...)
}

// checkOpen checks that a peer opens the one data channel, and not another.
func checkOpen(b []byte) error {
	if len(b) < dcepHeader || b[0] != dcepOpen {
		return fmt.Errorf("the peer's first message of %d bytes does not open a data channel", len(b))
	}
	name, protocol := int(binary.BigEndian.Uint16(b[8:])), int(binary.BigEndian.Uint16(b[10:]))
	if len(b) != dcepHeader+name+protocol {
		return fmt.Errorf("the peer opens a data channel with a message of %d bytes instead of %d", len(b), dcepHeader+name+protocol)
	}
	if got := string(b[dcepHeader : dcepHeader+name]); got != label {
		return fmt.Errorf("the peer opens the data channel %.40q instead of %q", got, label)
	}
	if protocol != 0 {
		return fmt.Errorf("the peer opens a data channel with the protocol %.40q instead of none", b[dcepHeader+name:])
	}
	if b[1] != dcepReliable || binary.BigEndian.Uint32(b[4:]) != 0 {
		return fmt.Errorf("the peer opens a data channel of the type %#x instead of an ordered and reliable one", b[1])
	}
	return nil
}
