package stub

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/throttle"
	"github.com/protofly/protofly/sdk/message"
)

// pumpInBackground has the core given what the run posts, until r.pumped is closed. The group has somebody in it already.
func (s *Stub) pumpInBackground(r *run) {
	s.o.Group.Go(func() {
		defer close(r.pumped)
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		r.wg.Go(func() {
			select {
			case <-r.pumped:
				return
			case <-r.ended:
			}
			late := time.NewTimer(drainGrace)
			defer late.Stop()
			select {
			case <-r.pumped:
			case <-late.C: // the core may be waiting for the stub itself, to be started again
				cancel()
			}
		})
		s.pump(ctx, r)
	})
}

// pump gives the core what the run posts, until it has ended and everything was given.
func (s *Stub) pump(ctx context.Context, r *run) {
	condemned, turns := false, throttle.Throttle{}
	for {
		frames, err := r.lane.Recv(s.ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			began, offence := time.Now(), ""
			m, err := message.ParseBinary(f.Payload)
			if err != nil && condemned {
				continue // what was on its way
			} else if err != nil {
				s.o.Log.Error("a stub's message is dropped", "stub", s.URL, "plugin", s.plugin, "error", failure.Text(err.Error(), failure.MaxText))
				offence = "a message that cannot be read"
			} else if s.tell(ctx, r, m) != nil {
				offence = "a message that it may not send"
			}
			if !s.isNode() { // that brings what others send, which the node holds back
				turns.Pause(ctx, began, 1, throttle.MessageCost)
			}
			if offence == "" || condemned {
				continue
			}
			if err := r.proc.Offend(offence); err != nil {
				condemned = true
				r.proc.Condemn(err.Error())
			}
		}
	}
}
