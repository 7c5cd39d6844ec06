package core

import (
	"context"
	"sync"

	"github.com/protofly/protofly/sdk/message"
)

// refusals tells senders that messages, which a component of this runtime had been given, will not be taken: in the
// background, because a sender may be slow to hear it. One goroutine for each remote runtime runs while there is
// something to tell.
type refusals struct {
	rt *Runtime

	mu    sync.Mutex
	by    map[message.URL][]refusal // by remote runtime; "": this one. None stays when it is empty
	count int                       // of all, at most maxAllRefusals
}

type refusal struct {
	m   message.Message // without its body
	why error
}

// How many may wait for one runtime, and for all. More are dropped: a remote runtime's session tells it anyway that the
// messages were refused.
const (
	maxRefusals    = 4096
	maxAllRefusals = 1 << 16
)

// add has the sender of m, which the runtime remote sent, told why it is not taken.
func (r *refusals) add(remote message.URL, m message.Message, why error) {
	m.Body = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	list, running := r.by[remote]
	if len(list) >= maxRefusals || r.count >= maxAllRefusals && remote != "" {
		r.rt.log.Debug("refusal not told: too many wait", "remote", remote, "from", m.From, "to", m.To)
		return
	}
	if r.by == nil {
		r.by = map[message.URL][]refusal{}
	}
	r.by[remote] = append(list, refusal{m, why})
	r.count++
	if !running {
		r.rt.background(func(ctx context.Context) { r.run(ctx, remote) })
	}
}

func (r *refusals) run(ctx context.Context, remote message.URL) {
	for {
		r.mu.Lock()
		list := r.by[remote]
		if len(list) == 0 || ctx.Err() != nil {
			delete(r.by, remote)
			r.count -= len(list)
			r.mu.Unlock()
			return
		}
		r.by[remote] = nil
		r.count -= len(list)
		r.mu.Unlock()
		for _, one := range list {
			if remote == "" {
				r.rt.bus.Undelivered(ctx, one.m, one.why)
			} else {
				r.rt.bus.Answer(ctx, remote, one.m, one.why)
			}
		}
	}
}
