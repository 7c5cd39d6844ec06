package bus

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// replyTime is how long a reply waits for who asked to take what it was sent before.
const replyTime = 10 * time.Second

// replies are the responses of the core's own components that are under way.
type replies struct {
	lanes work.Jobs[message.URL] // by who asked
	ctx   context.Context
	end   context.CancelFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (r *replies) init() {
	r.ctx, r.end = context.WithCancel(context.Background())
	r.lanes.Begin = r.begin
}

func (r *replies) begin(f func(ctx context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.wg.Go(func() { f(r.ctx) })
	}
}

func (r *replies) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.wg.Wait()
}

// Reply posts the response m of one of the core's own components. It never waits, so that a component that answers in its
// listener is not held up by somebody who asks and takes no answers: the replies to one component of this runtime, or to one
// remote runtime, follow each other in a goroutine of theirs. Up to 256 wait, each for 10 s once it is its turn; more are
// dropped.
func (b *MessageBus) Reply(m message.Message) {
	kept := b.replies.lanes.Do(b.asker(m.To), len(m.Body)+len(m.From)+len(m.To), func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, replyTime)
		defer cancel()
		if err := b.Post(bounded, m); err != nil && ctx.Err() == nil {
			b.log.Debug("reply not posted", "to", m.To, "error", err)
		}
	})
	if !kept {
		b.log.Debug("reply dropped: too many wait", "to", m.To)
	}
}

// asker is what the replies to an address wait behind. A remote runtime may have any number of other addresses, so these are
// one: nobody needs a reply there but from this runtime's applications.
func (b *MessageBus) asker(to message.URL) message.URL {
	if runtime := to.Runtime(); runtime != "" && runtime != b.runtime {
		return runtime
	}
	if to.Within(b.runtime) || b.listeners.Has(to) {
		return to.Canonical()
	}
	return "others"
}
