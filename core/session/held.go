package session

import (
	"sync"
	"sync/atomic"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// maxHeld is how many destinations of one remote runtime may be held up at the same time without holding up others.
const maxHeld = 256

// held is the destinations here whose listeners are behind: each has a queue, and a goroutine that waits for it.
type held struct {
	n atomic.Int32 // of the queues

	mu sync.Mutex
	by map[destinationKey]*heldQueue
}

// heldQueue is what waits for one destination. The bytes are the queue's own.
type heldQueue struct {
	waiting []heldMessage
	cost    int
	all     int // messages that wait, the ones under delivery included
}

type heldMessage struct {
	wire    []byte
	receipt minibus.Receipt
	again   bool
}

// behind queues the message where its destination is held up.
func (h *held) behind(key destinationKey, wire []byte, r minibus.Receipt, again bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.by[key]
	if q == nil {
		return false
	}
	q.add(wire, r, again)
	return true
}

func (q *heldQueue) add(wire []byte, r minibus.Receipt, again bool) {
	q.waiting = append(q.waiting, heldMessage{append([]byte(nil), wire...), r, again})
	q.cost += int(r.Cost)
	q.all++
}

// holdUp begins a queue with the message. It is false where there are too many.
func (s *session) holdUp(key destinationKey, wire []byte, r minibus.Receipt) bool {
	h := &s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.by) >= maxHeld {
		return false
	}
	if h.by == nil {
		h.by = make(map[destinationKey]*heldQueue)
	}
	q := &heldQueue{}
	q.add(wire, r, true)
	h.by[key] = q
	h.n.Store(int32(len(h.by)))
	s.all.wg.Add(1) // by the deliverer, which Close waits for as well
	go s.work(key, q)
	return true
}

// work delivers what waits for one destination, and ends when nothing does.
func (s *session) work(key destinationKey, q *heldQueue) {
	defer s.all.wg.Done()
	h := &s.held
	var parser message.Parser
	for {
		h.mu.Lock()
		batch := q.waiting
		q.waiting = nil
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
			d := Delivery{Remote: s.remote, Receipt: batch[i].receipt, Wait: true, Again: batch[i].again}
			var err error
			if d.Message, err = parser.ParseAgain(batch[i].wire); err == nil { // it was parsed before
				s.o.Deliver(s.all.life, &d)
			}
			batch[i] = heldMessage{}
			h.mu.Lock()
			q.cost -= int(d.Receipt.Cost)
			q.all--
			h.mu.Unlock()
		}
	}
}
