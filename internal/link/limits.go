package link

import (
	"errors"
	"fmt"

	"github.com/protofly/protofly/sdk/message"
)

// Limits of the protocol's version 1. Both sides know them, so they are not negotiated.
const (
	// MaxFrame is the largest payload of a data frame, and the largest message in its binary form, in bytes.
	MaxFrame = 1<<20 + 64<<10
	// MaxBatch is the largest batch, in bytes.
	MaxBatch = 4 << 20
	// Window is how many bytes a lane's sender may be ahead of its receiver, counted with [Cost]. The last frame may exceed it.
	Window = 1 << 20
	// MaxQueued is how many bytes may wait to be received on all lanes of a link together.
	MaxQueued = 256 << 20
	// MaxDoors is how many doors an instance may have open.
	MaxDoors = 16384
	// MaxConfig is the largest configuration of an instance, in bytes of JSON.
	MaxConfig = 1 << 20

	frameCost = 64      // what a frame costs beside its bytes, so that empty ones are bounded too
	pending   = 1 << 20 // data wait for the writer when so many bytes do already
	fill      = 3 << 20 // a batch is not filled further: one more frame keeps it below MaxBatch
)

// Frame is one payload on a [Lane]. On a door it is opaque: the core made it, and seals it. Peer is used by Message
// Node stubs only: the remote runtime that the frame is for, or comes from. On lane 0 the payload is the binary form
// of a message.
type Frame struct {
	Peer    message.URL
	Payload []byte
}

// Cost is how much of a lane's window f takes.
func Cost(f Frame) int { return len(f.Payload) + len(f.Peer) + frameCost }

// ErrClosed is the error of sending on a lane that has ended: its door is closed, or the link is.
var ErrClosed = errors.New("the lane is closed")

// ErrTooLarge is the error of sending a frame that is larger than [MaxFrame].
var ErrTooLarge = fmt.Errorf("frame larger than %d bytes", MaxFrame)

// ProtocolError says how the other side broke the protocol. The link has ended because of it.
type ProtocolError struct{ What string }

func (e *ProtocolError) Error() string { return "link protocol broken by the other side: " + e.What }

func violation(format string, args ...any) error {
	return &ProtocolError{What: fmt.Sprintf(format, args...)}
}
