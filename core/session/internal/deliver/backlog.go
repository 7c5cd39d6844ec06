package deliver

import (
	"context"
	"math"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
)

// MaxBehind is how many destinations of one remote runtime may be held up at the same time without holding up others.
const MaxBehind = 256

// maxBlock is the most memory that is kept by whoever keeps a single message that was held up: those beside it are to the
// same destination.
const maxBlock = 16 << 10

// backlog is the messages for destinations here whose listeners are behind. Each destination has a queue, and a goroutine that
// waits for its listener. How many messages wait is bounded by the inbox of the remote runtime. Under load a destination is
// behind most of the time, so nearly every message comes through here.
type backlog struct {
	queue work.Queue[wire.Key, minibus.Delivery] // their bodies are their own, or have the memory that they are in nearly to themselves

	to    wire.Key // of the messages that were queued last
	block []byte   // what the next bodies to it are copied to, to stay there for good
}

// newBacklog is an empty one: begin starts goroutines, and work is what they do; see work.Queue.
func newBacklog(begin func(func(context.Context)), worker func(context.Context, wire.Key, func() (minibus.Delivery, bool))) *backlog {
	h := &backlog{}
	h.queue.Limits = work.Limits{Keys: MaxBehind, Items: math.MaxInt, Bytes: math.MaxInt, AllBytes: math.MaxInt, Overhead: wire.MessageCost}
	h.queue.Begin, h.queue.Worker = begin, worker
	return h
}

// add queues messages to one destination. Each of their bodies keeps so many bytes of memory. It is false where there are too
// many destinations that are behind; then none was queued.
func (h *backlog) add(key wire.Key, run []minibus.Delivery, memory int) bool {
	if key != h.to {
		h.to, h.block = key, nil
	}
	for i := range run {
		one := run[i]
		if body := one.Message.Body; len(body) > 0 && len(body) < memory-memory/4 {
			one.Message.Body = h.keep(body)
		}
		if !h.queue.Do(key, int(one.Receipt.Cost)-wire.MessageCost, one) {
			return false // the first, where no queue may begin: what has one takes all that comes
		}
	}
	return true
}

// keep copies a body to a block. The first gets what it needs, and later ones share.
func (h *backlog) keep(body []byte) []byte {
	if len(body) > cap(h.block)-len(h.block) {
		h.block = make([]byte, 0, max(len(body), min(2*cap(h.block), maxBlock)))
	}
	start := len(h.block)
	h.block = append(h.block, body...)
	return h.block[start:len(h.block):len(h.block)]
}
