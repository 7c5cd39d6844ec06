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
	p := posting{stub: s, run: r}
	for {
		frames, err := r.lane.Recv(s.ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			p.take(ctx, f.Payload)
		}
	}
}

// posting passes the messages of one run to the core, one by one.
type posting struct {
	stub   *Stub
	run    *run
	killed bool // its process was killed: messages on their way are dropped
	turns  throttle.Throttle
}

// take passes a message to the core, waits if the stub has used its share of time, and counts violations.
func (p *posting) take(ctx context.Context, payload []byte) {
	s, began, violation := p.stub, time.Now(), ""
	m, err := message.ParseBinary(payload)
	if err != nil && p.killed {
		return
	} else if err != nil {
		s.o.Log.Error("a stub's message is dropped", "stub", s.URL, "plugin", s.plugin, "error", failure.Text(err.Error(), failure.MaxText))
		violation = "a message that cannot be read"
	} else if s.deliver(ctx, p.run, m) != nil {
		violation = "a message that it may not send"
	}
	if !s.isNode() { // a Message Node's stub brings messages of others, and the node limits those
		p.turns.Pause(ctx, began, 1, throttle.MessageCost)
	}
	if violation == "" || p.killed {
		return
	}
	if err := p.run.proc.CountViolation(violation); err != nil {
		p.killed = true
		p.run.proc.KillFor(err.Error())
	}
}
