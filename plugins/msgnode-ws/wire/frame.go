package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/protofly/protofly/sdk/message"
)

// Subprotocol is the WebSocket subprotocol, and Path the endpoint where a node speaks it.
const (
	Subprotocol = "protofly.v1"
	Path        = "/protofly"
)

// Limits, in bytes. They are part of the dialect: each side may close a connection that breaks one.
const (
	MaxPayload = 1<<20 + 64<<10        // one payload of a Data frame: the core's largest frame
	MaxFrame   = MaxPayload + 32<<10   // the body of any frame
	MaxPacket  = MaxFrame + PacketGoal // a WebSocket message
	PacketGoal = 128 << 10             // a writer that has this much starts a new packet
)

// Kind says what a frame is.
type Kind byte

// The kinds of frames.
const (
	KindChallenge   Kind = 1 // node → stub, first: Challenge
	KindProof       Kind = 2 // stub → node: Proof
	KindWelcome     Kind = 3 // node → stub: Welcome; from here on the frames below
	KindRefused     Kind = 4 // node → stub: Refused; before Welcome the end, after it a notice
	KindMessage     Kind = 5 // a message in its binary form, either way
	KindData        Kind = 6 // opaque payloads for (to the node) or from (to the stub) a remote runtime
	KindUnreachable Kind = 7 // node → stub: no connection has this runtime; its Data frames were dropped
	kindGrease      Kind = 0x7a
)

// ErrMalformed says that a packet or a frame cannot be read.
var ErrMalformed = errors.New("malformed frame")

// Next cuts the first frame off a packet. body and rest alias packet.
func Next(packet []byte) (kind Kind, body, rest []byte, err error) {
	if len(packet) < 2 {
		return 0, nil, nil, fmt.Errorf("%w: a header is cut off", ErrMalformed)
	}
	size, n := binary.Uvarint(packet[1:])
	if n <= 0 {
		return 0, nil, nil, fmt.Errorf("%w: bad length", ErrMalformed)
	}
	if size > MaxFrame {
		return 0, nil, nil, fmt.Errorf("%w: a frame of %d bytes, at most %d are allowed", ErrMalformed, size, MaxFrame)
	}
	start := 1 + n
	if size > uint64(len(packet)-start) {
		return 0, nil, nil, fmt.Errorf("%w: a frame of %d bytes is cut off", ErrMalformed, size)
	}
	end := start + int(size)
	return Kind(packet[0]), packet[start:end:end], packet[end:], nil
}

// Append appends a frame with the given body to b.
func Append(b []byte, kind Kind, body []byte) []byte {
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

// AppendGrease appends a frame that every reader must skip.
func AppendGrease(b []byte) []byte { return Append(b, kindGrease, []byte("skip me")) }

// AppendMessage appends a Message frame.
func AppendMessage(b []byte, m *message.Message) []byte {
	// The length comes before the body and is not known yet: the body is written behind the longest possible length, and then
	// moved.
	start := len(b)
	b = append(b, byte(KindMessage), 0, 0, 0, 0, 0)
	b = m.AppendBinary(b)
	body := b[start+6:]
	head := binary.AppendUvarint(b[:start+1], uint64(len(body)))
	return append(head, body...)
}

// ParseMessage reads the body of a Message frame. The message's Body aliases it.
func ParseMessage(body []byte) (message.Message, error) { return message.ParseBinary(body) }

// DataSize is how much a payload of n bytes adds to a Data frame.
func DataSize(n int) int { return uvarintLen(uint64(n)) + n }

// AppendData appends a Data frame with payloads for peer. Together they must fit into [MaxFrame].
func AppendData(b []byte, peer message.URL, payloads ...[]byte) []byte {
	size := uvarintLen(uint64(len(peer))) + len(peer)
	for _, p := range payloads {
		size += DataSize(len(p))
	}
	b = append(b, byte(KindData))
	b = binary.AppendUvarint(b, uint64(size))
	b = binary.AppendUvarint(b, uint64(len(peer)))
	b = append(b, peer...)
	for _, p := range payloads {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// Readdress appends a Data frame with the payloads of another one, as [ParseData] gave them, and another peer: what a
// node does with a frame that it passes on.
func Readdress(b []byte, peer message.URL, payloads Payloads) []byte {
	b = append(b, byte(KindData))
	b = binary.AppendUvarint(b, uint64(uvarintLen(uint64(len(peer)))+len(peer)+len(payloads)))
	b = binary.AppendUvarint(b, uint64(len(peer)))
	b = append(b, peer...)
	return append(b, payloads...)
}

// Payloads are the payloads of a Data frame, each with its length in front; [ParseData] has checked them.
type Payloads []byte

// All gives the payloads in order. They alias the frame.
func (p Payloads) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := []byte(p); len(rest) > 0; {
			size, n := binary.Uvarint(rest)
			end := n + int(size)
			if !yield(rest[n:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// ParseData reads the body of a Data frame and checks every length in it. peer is not yet checked to be an address:
// readers look it up first in what they know, and use message.ParseURL on what is new. Both results alias body.
func ParseData(body []byte) (peer []byte, payloads Payloads, err error) {
	peer, payloads, err = cutPeer(body)
	if err != nil {
		return nil, nil, err
	}
	if len(payloads) == 0 {
		return nil, nil, fmt.Errorf("%w: data without a payload", ErrMalformed)
	}
	for rest := []byte(payloads); len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > MaxPayload || size > uint64(len(rest)-n) {
			return nil, nil, fmt.Errorf("%w: data with a bad payload length", ErrMalformed)
		}
		rest = rest[n+int(size):]
	}
	return peer, payloads, nil
}

// Count is how many payloads there are.
func (p Payloads) Count() (n int) {
	for range p.All() {
		n++
	}
	return n
}

// DataPeer reads the peer of a Data frame alone. It aliases body.
func DataPeer(body []byte) ([]byte, error) {
	peer, _, err := cutPeer(body)
	return peer, err
}

// cutPeer cuts the peer off a Data frame's body. The rest is not checked.
func cutPeer(body []byte) (peer, rest []byte, err error) {
	size, n := binary.Uvarint(body)
	if n <= 0 || size == 0 || size > message.MaxURL || size > uint64(len(body)-n) {
		return nil, nil, fmt.Errorf("%w: data with a bad peer", ErrMalformed)
	}
	end := n + int(size)
	return body[n:end], body[end:], nil
}

// AppendUnreachable appends an Unreachable frame.
func AppendUnreachable(b []byte, peer message.URL) []byte {
	return Append(b, KindUnreachable, []byte(peer))
}

// ParseUnreachable reads the body of an Unreachable frame.
func ParseUnreachable(body []byte) (message.URL, error) {
	peer, err := message.ParseURL(string(body))
	if err != nil {
		return "", fmt.Errorf("%w: unreachable: %w", ErrMalformed, err)
	}
	return peer, nil
}

func uvarintLen(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}
