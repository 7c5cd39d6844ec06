package doors

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Receiver takes frames. [session.Sessions] implements it.
type Receiver interface {
	Receive(ctx context.Context, remote message.URL, path session.Path, frame []byte)
}

// FramesIn takes the frames of stubs to sessions. All fields but Trace are required.
type FramesIn struct {
	Self     message.URL // this runtime
	Table    *Table
	Sessions Receiver
	Log      hclog.Logger
	Trace    *trace.Hub
}

// Take passes each frame that came in through a stub's door to the session that it is for. taken is false if no frame is in
// the name of a runtime that may be behind that door.
func (in *FramesIn) Take(ctx context.Context, stub, door message.URL, frames []sdk.Frame) (taken bool) {
	behind := in.Table.Find(stub, door)
	for _, f := range frames {
		remote := behind.Sender(f.Peer)
		if remote == "" || remote == in.Self {
			in.Log.Warn("frame from nobody dropped", "door", door, "peer", f.Peer)
			continue
		}
		taken = true
		if in.Trace.Watched() {
			in.Trace.Emit(trace.Event{Kind: trace.FrameIn, Via: door, Peer: remote, Value: session.FrameName(f.Payload)})
		}
		in.Sessions.Receive(ctx, remote, session.Path{Door: door, Stub: stub, Direct: behind.Direct()}, f.Payload)
	}
	return taken
}
