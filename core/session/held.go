package session

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/minibus"
)

// maxHeld is how many destinations of one remote runtime may be held up at the same time without holding up others.
const maxHeld = 256

// held is the destinations here whose listeners are behind: each has a queue, and a goroutine that waits for it.
type held struct {
	n atomic.Int32 // of the queues

	mu sync.Mutex
	by map[wire.Key]*heldQueue // maxHeld
}

// heldQueue is what waits for one destination. The bodies are the queue's own, or have their memory nearly to themselves.
// Under load a destination is behind most of the time, so nearly every message comes through here.
type heldQueue struct {
	waiting []heldMessage
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

type heldMessage struct {
	minibus.Handed
	again bool
}

// behind queues the messages, all to one destination, where that is held up. again: the first has been tried before. Each
// of their bodies keeps so many bytes of memory.
func (h *held) behind(key wire.Key, run []minibus.Handed, again bool, memory int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.by[key]
	if q == nil {
		return false
	}
	q.add(run, again, memory)
	return true
}

func (q *heldQueue) add(run []minibus.Handed, again bool, memory int) {
	for i := range run {
		q.addOne(&run[i], again && i == 0, memory)
	}
}

func (q *heldQueue) addOne(in *minibus.Handed, again bool, memory int) {
	m := in.Message
	if body := m.Body; len(body) > 0 && len(body) < memory-memory/4 {
		if len(body) > cap(q.block)-len(q.block) { // the first gets what it needs, later ones share
			q.block = make([]byte, 0, max(len(body), min(2*cap(q.block), maxBlock)))
		}
		start := len(q.block)
		q.block = append(q.block, body...)
		m.Body = q.block[start:len(q.block):len(q.block)]
	}
	q.waiting = append(q.waiting, heldMessage{minibus.Handed{Message: m, Receipt: in.Receipt}, again})
	q.cost.Add(int64(in.Receipt.Cost))
	q.all.Add(1)
}

// holdUp begins a queue with the messages, as behind takes them. It is false where there are too many.
func (s *session) holdUp(key wire.Key, run []minibus.Handed, again bool, memory int) bool {
	h := &s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.by) >= maxHeld {
		return false
	}
	if h.by == nil {
		h.by = make(map[wire.Key]*heldQueue)
	}
	q := &heldQueue{}
	q.add(run, again, memory)
	h.by[key] = q
	h.n.Store(int32(len(h.by)))
	s.all.wg.Add(1) // by the deliverer, which Close waits for as well
	go s.work(key, q)
	return true
}

// work delivers what waits for one destination, and ends when nothing does.
func (s *session) work(key wire.Key, q *heldQueue) {
	defer s.all.wg.Done()
	h := &s.held
	var batch []heldMessage
	var d Delivery
	for {
		h.mu.Lock()
		batch, q.waiting = q.waiting, batch[:0]
		if len(batch) == 0 {
			delete(h.by, key)
			h.n.Store(int32(len(h.by)))
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		for i := range batch {
			if s.all.life.Err() != nil {
				return
			}
			one := &batch[i]
			d = Delivery{Remote: s.remote, Door: s.cameIn(), Message: one.Message, Receipt: one.Receipt, Wait: true, Again: one.again}
			s.o.Deliver(s.all.life, &d)
			q.cost.Add(-int64(batch[i].Receipt.Cost))
			q.all.Add(-1)
			batch[i] = heldMessage{}
		}
	}
}
