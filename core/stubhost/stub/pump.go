package stub

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/throttle"
	"github.com/protofly/protofly/sdk/message"
)

// pumpInBackground passes the messages of a run to the core in a goroutine, and closes r.pumped at the end. Options.Group is
// not at zero when it is called.
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
			case <-late.C: // Options.Message may be waiting until this stub has been started again
				cancel()
			}
		})
		s.pump(ctx, r)
	})
}

// pump passes the messages of a run to the core, until the run has ended and all are passed.
func (s *Stub) pump(ctx context.Context, r *run) {
	killed, turns := false, throttle.Throttle{}
	for {
		frames, err := r.lane.Recv(s.ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			began, violation := time.Now(), ""
			m, err := message.ParseBinary(f.Payload)
			if err != nil && killed {
				continue // it was on its way when the process was killed
			} else if err != nil {
				s.o.Log.Error("a stub's message is dropped", "stub", s.URL, "plugin", s.plugin, "error", failure.Text(err.Error(), failure.MaxText))
				violation = "a message that cannot be read"
			} else if s.deliver(ctx, r, m) != nil {
				violation = "a message that it may not send"
			}
			if !s.isNode() { // a Message Node's stub brings what others send, and the node limits that
				turns.Pause(ctx, began, 1, throttle.MessageCost)
			}
			if violation == "" || killed {
				continue
			}
			if err := r.proc.CountViolation(violation); err != nil {
				killed = true
				r.proc.KillFor(err.Error())
			}
		}
	}
}
