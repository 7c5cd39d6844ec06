package stub

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/stubhost/throttle"
	"github.com/protofly/protofly/sdk"
)

// intake gives the core the frames of one door. A stub that brings frames which nobody wants is held back, whichever goroutine
// brings them, so that they cost the core a bounded part of its time.
type intake struct {
	give      func(frames []sdk.Frame) (wanted bool)
	throttled bool // not for a Message Node's stub: it brings what others send
	useless   throttle.Throttle
}

// handle passes frames on. It waits where frames for nobody have used up their share of time.
func (i *intake) handle(ctx context.Context, frames []sdk.Frame) {
	if began := time.Now(); !i.give(frames) && i.throttled {
		i.useless.Pause(ctx, began, len(frames), throttle.FrameCost)
	}
}

// prompt gives frames without waiting. It is false where they have to wait: then they are for handle.
func (i *intake) prompt(frames []sdk.Frame) bool {
	if i.useless.Due(time.Now()) > 0 {
		return false
	}
	if began := time.Now(); !i.give(frames) && i.throttled {
		i.useless.Add(began, len(frames), throttle.FrameCost)
	}
	return true
}
