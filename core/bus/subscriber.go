package bus

import (
	"context"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

const (
	maxForwardBytes = 4 << 20                // of the bodies that wait for one remote runtime that subscribed to one address
	forwardPatience = 250 * time.Millisecond // how long a publication waits for all subscribers without room together
)

// forward is a remote runtime's subscription to an address: messages to the address also go to the runtime, through an inbox
// of its own. If the inbox stays full, the subscriber is behind until the inbox is empty: no publisher waits for it, and of
// the messages meanwhile only the last one is kept, and sent then. By the versions in the messages the subscriber sees that
// some are missing.
type forward struct {
	remote message.URL
	box    message.URL // the inbox's address in listeners, a private one
	stop   func()
	space  chan struct{} // gets a token when a message has left the inbox

	mu     sync.Mutex
	n      int // messages in the inbox, and the one that is being sent
	bytes  int // of their bodies
	behind bool
	last   *message.Message // that came while it was behind
	idle   chan struct{}    // closed when nothing is in the inbox; nil: nobody waits for that
}

// offer puts m into the inbox, or keeps it as the last one of a subscriber that is behind. It returns false if there is no
// room.
func (f *forward) offer(l *minibus.Listeners, m *message.Message) bool {
	own := f.lock()
	defer own.unlock()
	if f.behind {
		f.last = m
		return true
	}
	return own.put(l, m)
}

// lockedForward is a forward with its lock taken, from lock to unlock. Methods that need the lock are methods of lockedForward.
type lockedForward struct{ *forward }

// lock locks mu.
func (f *forward) lock() lockedForward {
	f.mu.Lock()
	return lockedForward{f}
}

// unlock unlocks mu.
func (f lockedForward) unlock() { f.mu.Unlock() }

// put puts m into the inbox if there is room.
func (f lockedForward) put(l *minibus.Listeners, m *message.Message) bool {
	if f.n > 0 && f.bytes+len(m.Body) > maxForwardBytes {
		return false
	}
	n, full := l.TryHand(f.box, *m, minibus.Receipt{}, nil)
	if full {
		return false
	}
	if n > 0 { // else the inbox has ended
		f.n++
		f.bytes += len(m.Body)
	}
	return true
}

// wait is offer, but waits for room until ctx ends; then the subscriber is behind.
func (f *forward) wait(ctx context.Context, l *minibus.Listeners, m *message.Message) {
	for ctx.Err() == nil {
		if f.offer(l, m) {
			return
		}
		select {
		case <-f.space:
		case <-ctx.Done():
		}
	}
	own := f.lock()
	defer own.unlock()
	if f.behind || !own.put(l, m) {
		f.behind, f.last = true, m
	}
}

// left notes that m has left the inbox.
func (f *forward) left(l *minibus.Listeners, m *message.Message) {
	own := f.lock()
	defer own.unlock()
	f.n--
	f.bytes -= len(m.Body)
	if f.behind && f.n == 0 {
		last := f.last
		f.behind, f.last = false, nil
		own.put(l, last)
	}
	if f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
	select {
	case f.space <- struct{}{}:
	default:
	}
}

// empty is closed when everything has left the inbox.
func (f *forward) empty() <-chan struct{} {
	own := f.lock()
	defer own.unlock()
	idle := f.idle
	if idle == nil {
		idle = make(chan struct{})
	}
	if f.n == 0 {
		close(idle)
	} else {
		f.idle = idle
	}
	return idle
}
