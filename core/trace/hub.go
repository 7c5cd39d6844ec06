package trace

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Hub gives events to all watchers. Without one an event costs one atomic load. The zero value works. A nil Hub is valid and has no
// watchers. Its methods may be called from many goroutines.
type Hub struct {
	mu   sync.Mutex
	next int
	by   map[int]watcher
	all  atomic.Pointer[watchers] // nil without a watcher; replaced, never changed
}

// watcher gets events; bodies: with the bodies of messages.
type watcher struct {
	tell   Func
	bodies bool
}

type watchers struct {
	by     map[int]watcher
	bodies bool // one of them wants them
}

// Watch has f called for every event until stop is called. bodies: with the beginnings of messages' bodies; else no byte of a body is
// in an event.
func (h *Hub) Watch(f Func, bodies bool) (stop func()) {
	l := h.lock()
	defer l.unlock()
	if h.by == nil {
		h.by = map[int]watcher{}
	}
	h.next++
	key := h.next
	h.by[key] = watcher{f, bodies}
	l.publish()
	return func() {
		l := h.lock()
		defer l.unlock()
		delete(h.by, key)
		l.publish()
	}
}

// locked is a Hub with its lock taken, from lock to unlock. Methods that need the lock are methods of locked.
type locked struct{ *Hub }

// lock locks mu.
func (h *Hub) lock() locked {
	h.mu.Lock()
	return locked{h}
}

// unlock unlocks mu.
func (h locked) unlock() { h.mu.Unlock() }

// publish makes the present watchers the ones that get events from now on.
func (h locked) publish() {
	if len(h.by) == 0 {
		h.all.Store(nil)
		return
	}
	all := &watchers{by: maps.Clone(h.by)}
	for _, w := range all.by {
		all.bodies = all.bodies || w.bodies
	}
	h.all.Store(all)
}

// Watched tells whether there is a watcher, so that an event has to be made.
func (h *Hub) Watched() bool { return h != nil && h.all.Load() != nil }

// Now is the present time, for an event that is made later than it happens; zero without a watcher.
func (h *Hub) Now() (at time.Time) {
	if h.Watched() {
		at = time.Now()
	}
	return at
}

// Emit gives e to all watchers, with the present time where e has none.
func (h *Hub) Emit(e Event) {
	if !h.Watched() {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if all := h.all.Load(); all != nil {
		all.tell(e)
	}
}

func (w *watchers) tell(e Event) {
	bare := e
	bare.Body = ""
	for _, one := range w.by {
		if one.bodies {
			one.tell(e)
		} else {
			one.tell(bare)
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
	if all := h.all.Load(); all != nil && all.bodies {
		e.Body = string(m.Body[:min(len(m.Body), maxBody)])
	}
	h.Emit(e)
}
