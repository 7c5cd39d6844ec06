package doors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// received notes the frames that sessions get.
type received struct{ frames []string }

func (r *received) Receive(_ context.Context, remote message.URL, p session.Path, frame []byte) {
	r.frames = append(r.frames, fmt.Sprint(remote, " ", p.Stub, " ", p.Door, " ", p.Direct, " ", string(frame)))
}

// A frame goes to the session with the runtime that is behind its door, or that the Message Node there may speak for. Others are
// dropped, and so is what is in this runtime's own name. Whoever watches sees those that are taken.
func TestTakeFrames(t *testing.T) {
	var r received
	var text strings.Builder
	in := &FramesIn{Self: self, Table: NewTable("a.example"), Sessions: &r, Log: hclog.New(&hclog.LoggerOptions{Output: &text})}
	in.Table.AddDirect(handler, "one", bobs)
	in.Table.AddNode(ours, "a.example")
	frames := func(peers ...message.URL) (list []sdk.Frame) {
		for i, peer := range peers {
			list = append(list, sdk.Frame{Peer: peer, Payload: []byte{byte('a' + i)}})
		}
		return list
	}
	for _, watched := range []bool{false, true} {
		var events []trace.Event
		in.Trace = nil
		if watched {
			in.Trace = &trace.Hub{}
			defer in.Trace.Watch(func(e trace.Event) { events = append(events, e) }, false)()
		}
		for name, c := range map[string]struct {
			stub, door message.URL
			frames     []sdk.Frame
			want       []string
			dropped    int
		}{
			"by a direct door":      {handler, "one", frames("", carls), []string{string(bobs+" "+handler) + " one true a", string(bobs+" "+handler) + " one true b"}, 0},
			"by a node":             {ours, ours, frames(bobs, "", self, carls), []string{string(bobs+" "+ours+" "+ours) + " false a", string(carls+" "+ours+" "+ours) + " false d"}, 2},
			"by nobody's door":      {handler, "two", frames(bobs), nil, 1},
			"in its own name alone": {ours, ours, frames(self), nil, 1},
			"none":                  {ours, ours, nil, nil, 0},
		} {
			r.frames, events = nil, nil
			text.Reset()
			if taken := in.Take(t.Context(), c.stub, c.door, c.frames); taken != (len(c.want) > 0) || !slices.Equal(r.frames, c.want) {
				t.Errorf("%s: taken %v, %q, want %q", name, taken, r.frames, c.want)
			}
			if n := strings.Count(text.String(), "frame from nobody dropped"); n != c.dropped {
				t.Errorf("%s: %d are dropped, want %d", name, n, c.dropped)
			}
			if watched != (len(events) > 0) && len(c.want) > 0 || watched && len(events) != len(c.want) {
				t.Errorf("%s: watched %v, seen %+v", name, watched, events)
			}
			for i, e := range events {
				if e.Kind != trace.FrameIn || e.Via != c.door || !strings.HasPrefix(c.want[i], string(e.Peer)+" ") {
					t.Errorf("%s: seen %+v", name, e)
				}
			}
		}
	}
}
