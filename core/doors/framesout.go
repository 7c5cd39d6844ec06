package doors

import (
	"context"
	"sync"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Host passes frames to stubs. [stubhost.Host] implements it.
type Host interface {
	// Send waits while the stub is behind.
	Send(ctx context.Context, stub, door message.URL, frames ...sdk.Frame) error
	// TrySend returns false, and does nothing, where Send would wait.
	TrySend(stub, door message.URL, frames ...sdk.Frame) bool
}

// FramesOut passes a session's frames to the stub of a door. Host is required. Its methods may be called from many
// goroutines.
type FramesOut struct {
	Host  Host
	lists sync.Pool // of *[]sdk.Frame: only the lists are used again, not the payloads
}

// Send sends frames by a path's door, in their order; see [session.Options].
func (o *FramesOut) Send(ctx context.Context, p session.Path, remote message.URL, payloads ...[]byte) error {
	frames := o.address(p, remote, payloads...)
	defer o.free(frames)
	return o.Host.Send(ctx, p.Stub, p.Door, *frames...)
}

// TrySend sends one frame if it need not wait; see [session.Options].
func (o *FramesOut) TrySend(p session.Path, remote message.URL, payload []byte) bool {
	frames := o.address(p, remote, payload)
	defer o.free(frames)
	return o.Host.TrySend(p.Stub, p.Door, *frames...)
}

// address makes frames to a remote runtime of payloads, in a list that free takes back.
func (o *FramesOut) address(p session.Path, remote message.URL, payloads ...[]byte) *[]sdk.Frame {
	frames, ok := o.lists.Get().(*[]sdk.Frame)
	if !ok {
		frames = new([]sdk.Frame)
	}
	for _, payload := range payloads {
		f := sdk.Frame{Payload: payload}
		if !p.Direct { // a Message Node must know the receiver
			f.Peer = remote
		}
		*frames = append(*frames, f)
	}
	return frames
}

func (o *FramesOut) free(frames *[]sdk.Frame) {
	clear(*frames)
	*frames = (*frames)[:0]
	o.lists.Put(frames)
}
