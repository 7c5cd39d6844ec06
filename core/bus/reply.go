package bus

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
)

// replyTime is how long a reply waits until its receiver has taken the replies before it.
const replyTime = 10 * time.Second

// replies are the responses of the core's own components that are on their way.
type replies struct {
	lanes work.Jobs[message.URL] // by the receiver
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
