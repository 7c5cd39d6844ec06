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

// posting gives the core the messages of one run, each in its turn.
type posting struct {
	stub      *Stub
	run       *run
	condemned bool // the process is to end: what was on its way is dropped
	turns     throttle.Throttle
}

// take gives the core a message, waits where the stub has had its share, and counts what it may not post.
func (p *posting) take(ctx context.Context, payload []byte) {
	s, began, offence := p.stub, time.Now(), ""
	m, err := message.ParseBinary(payload)
	if err != nil && p.condemned {
		return
	} else if err != nil {
		s.o.Log.Error("a stub's message is dropped", "stub", s.URL, "plugin", s.plugin, "error", failure.Text(err.Error(), failure.MaxText))
		offence = "a message that cannot be read"
	} else if s.tell(ctx, p.run, m) != nil {
		offence = "a message that it may not send"
	}
	if !s.isNode() { // that brings what others send, which the node holds back
		p.turns.Pause(ctx, began, 1, throttle.MessageCost)
	}
	if offence == "" || p.condemned {
		return
	}
	if err := p.run.proc.Offend(offence); err != nil {
		p.condemned = true
		p.run.proc.Condemn(err.Error())
	}
}
