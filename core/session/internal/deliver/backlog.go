package deliver

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/minibus"
)

// MaxBehind is how many destinations of one remote runtime may be held up at the same time without holding up others.
const MaxBehind = 256

// backlog is the destinations here whose listeners are behind: each has a queue, and a goroutine that waits for it.
type backlog struct {
	n atomic.Int32 // of the queues

	mu sync.Mutex
	by map[wire.Key]*queue // MaxBehind
}

// queue is what waits for one destination. The bodies are the queue's own, or have their memory nearly to themselves.
// Under load a destination is behind most of the time, so nearly every message comes through here.
type queue struct {
	waiting []queued
	block   []byte // what the next bodies are copied to, to stay there for good

	// Of the messages that wait, the ones under delivery included.
	cost atomic.Int64
	all  atomic.Int64
}

// maxBlock is the most that is kept in memory by who keeps a single message that was held up: those beside it are to the
// same destination.
const maxBlock = 16 << 10

// lentMemory is what is said of bodies in memory that is somebody else's.
const lentMemory = math.MaxInt

type queued struct {
	minibus.Handed
	again bool
}

// behind queues the messages, all to one destination, where that is held up. again: the first has been tried before. Each
// of their bodies keeps so many bytes of memory.
func (h *backlog) behind(key wire.Key, run []minibus.Handed, again bool, memory int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.by[key]
	if q == nil {
		return false
	}
	q.add(run, again, memory)
	return true
}

func (q *queue) add(run []minibus.Handed, again bool, memory int) {
	for i := range run {
		q.addOne(&run[i], again && i == 0, memory)
	}
}

func (q *queue) addOne(in *minibus.Handed, again bool, memory int) {
	m := in.Message
	if body := m.Body; len(body) > 0 && len(body) < memory-memory/4 {
		if len(body) > cap(q.block)-len(q.block) { // the first gets what it needs, later ones share
			q.block = make([]byte, 0, max(len(body), min(2*cap(q.block), maxBlock)))
		}
		start := len(q.block)
		q.block = append(q.block, body...)
		m.Body = q.block[start:len(q.block):len(q.block)]
	}
	q.waiting = append(q.waiting, queued{minibus.Handed{Message: m, Receipt: in.Receipt}, again})
	q.cost.Add(int64(in.Receipt.Cost))
	q.all.Add(1)
}
