package trace

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Hub gives events to whoever watches. While nobody does, an event costs one load. A nil Hub is valid: nobody ever
// watches it. The zero value works.
type Hub struct {
	mu   sync.Mutex
	next int
	by   map[int]Func
	all  atomic.Pointer[map[int]Func] // nil while nobody watches; never changed in place
}

// Watch has f told of every event until stop is called.
func (h *Hub) Watch(f Func) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = map[int]Func{}
	}
	h.next++
	key := h.next
	h.by[key] = f
	h.publish()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.by, key)
		h.publish()
	}
}

// publish makes a change visible. mu is held.
func (h *Hub) publish() {
	if len(h.by) == 0 {
		h.all.Store(nil)
		return
	}
	all := maps.Clone(h.by)
	h.all.Store(&all)
}

// Watched tells whether anybody watches: whether it is worth making an event.
func (h *Hub) Watched() bool { return h != nil && h.all.Load() != nil }

// Now is the time for an event that is made later than it happens: zero while nobody watches.
func (h *Hub) Now() (at time.Time) {
	if h.Watched() {
		at = time.Now()
	}
	return at
}

// Emit gives e to everybody who watches, with the time set where e has none.
func (h *Hub) Emit(e Event) {
	if !h.Watched() {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if all := h.all.Load(); all != nil {
		for _, f := range *all {
			f(e)
		}
	}
}

// maxBody is how much of a message's body an event shows.
const maxBody = 512

// Message is Emit of an event about m.
func (h *Hub) Message(kind Kind, m message.Message, e Event) {
	if !h.Watched() {
		return
	}
	e.Kind, e.From, e.To, e.Type, e.ID = kind, m.From, m.To, m.Type, m.ID.String()
	e.Body = string(m.Body[:min(len(m.Body), maxBody)])
	h.Emit(e)
}
