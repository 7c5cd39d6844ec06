package session

import (
	"crypto/cipher"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/buffers"
	"github.com/protofly/protofly/sdk/message"
)

// maxBatch is how many frames are handed to a path at once: a switch of path waits for no more than these.
const maxBatch = 4

// outgoing is frames on their way to a path. Whoever has the turn to send uses it, without the session's lock.
type outgoing struct {
	frames  [maxBatch][]byte
	large   [maxBatch]*[]byte           // the buffer of a frame that is larger than usual; nil: the frame has its own
	carried [maxBatch][]message.Message // what they carry, while somebody watches
	seals   [maxBatch]cipher.AEAD       // what closes them; nil: nothing, it is a hello
}

// seal closes the first n frames.
func (o *outgoing) seal(n int) {
	for i, aead := range o.seals[:n] {
		if aead != nil {
			o.frames[i] = handshake.Seal(aead, o.frames[i])
		}
	}
}

// shrink gives back the memory of frames with a message that is larger than a frame usually is: more than most bytes.
func (o *outgoing) shrink(most int) {
	for i, b := range o.frames {
		if o.large[i] != nil {
			buffers.Put(o.large[i])
			o.large[i], o.frames[i] = nil, nil
		} else if cap(b) > most {
			o.frames[i] = nil
		}
	}
}

// trace tells watchers that the first n frames were handed to path at that time, and what they carry.
func (o *outgoing) trace(hub *trace.Hub, path Path, remote message.URL, n int, at time.Time) {
	if !hub.Watched() {
		return
	}
	for i, frame := range o.frames[:n] {
		e := trace.Event{Kind: trace.Frame, At: at, Via: path.Door, Peer: remote, Value: FrameName(frame)}
		for _, m := range o.carried[i] {
			hub.Message(trace.Frame, m, e)
		}
		if len(o.carried[i]) == 0 {
			hub.Emit(e)
		}
		o.carried[i] = nil
	}
}
