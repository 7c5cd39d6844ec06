package stub

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/stubhost/throttle"
	"github.com/protofly/protofly/sdk"
)

// intake passes the frames of one door to the core. A stub that brings frames for nobody is throttled, whichever goroutine
// passes them, so that they cost the core a bounded part of its time.
type intake struct {
	give      func(frames []sdk.Frame) (wanted bool)
	throttled bool // false for a Message Node's stub, which brings frames of others
	useless   throttle.Throttle
}

// handle passes frames on. It waits where frames for nobody have used up their share of time.
func (i *intake) handle(ctx context.Context, frames []sdk.Frame) {
	if began := time.Now(); !i.give(frames) && i.throttled {
		i.useless.Pause(ctx, began, len(frames), throttle.FrameCost)
	}
}

// prompt passes frames on without waiting. It returns false, and has passed none, if they must wait: then handle passes them.
func (i *intake) prompt(frames []sdk.Frame) bool {
	if i.useless.Due(time.Now()) > 0 {
		return false
	}
	if began := time.Now(); !i.give(frames) && i.throttled {
		i.useless.Add(began, len(frames), throttle.FrameCost)
	}
	return true
}
