// Package memory counts what the messages of all sessions of a runtime take together, and bounds that.
//
// All sessions share one [Total]. So it is safe for use by many goroutines, unlike the parts that one session owns.
package memory

import (
	"sync"
	"sync/atomic"
)

// Total is what all messages take, in each direction.
type Total struct {
	most    int64        // in each direction
	sending atomic.Int64 // cost of the messages that are not acknowledged
	waiting atomic.Int64 // cost of the messages that wait for listeners here

	mu      sync.Mutex
	starved map[chan struct{}]struct{} // what wakes the sessions with posters that wait for sending to shrink
	hungry  atomic.Int32               // len(starved)
}

// Limit sets how many bytes may be counted in each direction.
func (t *Total) Limit(most int) { t.most = int64(most) }

// Fits tells whether the messages that are not acknowledged may take cost bytes more. A single message always fits.
func (t *Total) Fits(cost int) bool {
	used := t.sending.Load()
	return used == 0 || used+int64(cost) <= t.most
}

// Sent adds what is kept from now on until it is acknowledged.
func (t *Total) Sent(cost int) { t.sending.Add(int64(cost)) }

// Freed takes off what was acknowledged or given up, and wakes the sessions whose posters wait for it.
func (t *Total) Freed(cost int) {
	t.sending.Add(-int64(cost))
	if t.hungry.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for space := range t.starved {
		select {
		case space <- struct{}{}:
		default: // it is to be woken already
		}
	}
}

// Starve notes whether a session has posters that wait for sending to shrink. Then Freed sends to space, which has room for
// one value.
func (t *Total) Starve(space chan struct{}, on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.starved == nil {
		t.starved = make(map[chan struct{}]struct{})
	}
	if on {
		t.starved[space] = struct{}{}
	} else {
		delete(t.starved, space)
	}
	t.hungry.Store(int32(len(t.starved)))
}

// Full tells whether as much waits for listeners as may wait in all.
func (t *Total) Full() bool { return t.waiting.Load() >= t.most }

// Came adds what waits for listeners from now on; less than 0: it waits no more.
func (t *Total) Came(cost int) { t.waiting.Add(int64(cost)) }

// Sending is how many bytes are counted for messages that are not acknowledged.
func (t *Total) Sending() int { return int(t.sending.Load()) }

// Waiting is how many bytes are counted for messages that wait for listeners.
func (t *Total) Waiting() int { return int(t.waiting.Load()) }
