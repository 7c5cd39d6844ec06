package deliver

import (
	"context"
	"math"

	"github.com/protofly/protofly/core/session/internal/receiver"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/message"
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

// newBacklog is for the messages of w.
func newBacklog(w *Deliverer) *backlog {
	h := &backlog{}
	h.queue.Limits = work.Limits{Keys: MaxBehind, Items: math.MaxInt, Bytes: math.MaxInt, AllBytes: math.MaxInt, Overhead: wire.MessageCost}
	h.queue.Begin = func(f func(context.Context)) { w.host.Go(func() { f(w.life) }) }
	h.queue.Worker = w.work
	return h
}

// behind tells whether messages wait for that destination.
func (w *Deliverer) behind(key wire.Key) bool {
	h := w.backlog.Load()
	return h != nil && h.queue.Has(key)
}

// holdUp queues messages to one destination, as add does.
func (w *Deliverer) holdUp(key wire.Key, run []minibus.Delivery, memory int) bool {
	h := w.backlog.Load()
	if h == nil {
		h = newBacklog(w)
		w.backlog.Store(h)
	}
	return h.add(key, run, memory)
}

// add queues messages to one destination. Each of their bodies keeps so many bytes of memory. It is false where there are too many destinations that are behind; then none was queued.
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

// work delivers what waits for one destination.
func (w *Deliverer) work(ctx context.Context, _ wire.Key, next func() (minibus.Delivery, bool)) {
	var d minibus.Delivery
	var ok bool
	for d, ok = next(); ok; d, ok = next() {
		w.o.Acceptor.Accept(ctx, w.remote, &d)
	}
}

// Behind calls f for each destination that is behind, with what waits for it here. f must not use the deliverer.
func (w *Deliverer) Behind(f func(to message.URL, messages, bytes int)) {
	if h := w.backlog.Load(); h != nil {
		h.queue.Each(func(key wire.Key, messages, bytes int) { f(key.URL, messages, bytes) })
	}
}

// lentMemory is what is said of bodies in memory that is somebody else's.
const lentMemory = math.MaxInt

// pinned is the memory that a body in p keeps.
func pinned(p *receiver.Batch) int {
	if p.Lent {
		return lentMemory
	}
	return p.Memory
}

// kept is pinned for bodies that Deliverer.keep has seen.
func kept(p *receiver.Batch) int {
	if p.Lent {
		return 0
	}
	return p.Memory
}
