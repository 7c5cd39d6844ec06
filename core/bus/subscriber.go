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
	forwardPatience = 250 * time.Millisecond // how long a publication waits for those that have no room, together
)

// forward is a remote runtime's subscription to an address: what is sent there goes to it as well, through an inbox of its
// own. One whose inbox stays full is behind until that is empty: nobody waits for it, and of what comes meanwhile only the
// last message is kept, for then. Versions in the messages tell the subscriber that some are missing.
type forward struct {
	remote message.URL
	box    message.URL // where its inbox is in listeners: a private address
	stop   func()
	space  chan struct{} // holds a token when a message has left the inbox

	mu     sync.Mutex
	n      int // messages in the inbox, the one under way included
	bytes  int // of their bodies
	behind bool
	last   *message.Message // that came while it was behind
	idle   chan struct{}    // closed when nothing is in the inbox; nil: nobody waits for that
}

// offer puts m into the inbox, or keeps it as the last one of a subscriber that is behind. It is false where there is no room.
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

// put puts m into the inbox where there is room.
func (f lockedForward) put(l *minibus.Listeners, m *message.Message) bool {
	if f.n > 0 && f.bytes+len(m.Body) > maxForwardBytes {
		return false
	}
	n, full := l.TryHand(f.box, *m, minibus.Receipt{}, nil)
	if full {
		return false
	}
	if n > 0 { // else it has been ended
		f.n++
		f.bytes += len(m.Body)
	}
	return true
}

// wait is offer that waits until ctx ends. Then the subscriber is behind.
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
