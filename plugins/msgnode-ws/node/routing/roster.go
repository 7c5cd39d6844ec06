package routing

import (
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Roster knows which runtimes are connected at this node, and since when others, of which the state has something, are missing.
// Any goroutine may use it.
type Roster struct {
	grace    time.Duration // after which a runtime that is missing is gone
	unproved int           // how many connections in the reference's dialects there may be

	mu       sync.Mutex
	runtimes map[message.URL]*Client // the newest connection of each runtime
	byID     map[uint64]*Client      // attached ones
	legacy   int                     // those of them in the reference's dialects
	missing  map[message.URL]time.Time
}

func newRoster(grace time.Duration, unproved int) *Roster {
	return &Roster{grace: grace, unproved: unproved, runtimes: map[message.URL]*Client{}, byID: map[uint64]*Client{}, missing: map[message.URL]time.Time{}}
}

// enter makes c the connection of its runtime, in place of old, if place says that there is room.
func (r *Roster) enter(c *Client, place func(replaces bool) bool) (old *Client, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old = r.runtimes[c.Runtime()]
	if c.Unproved() && r.legacy >= r.unproved || !place(old != nil) {
		return nil, false
	}
	if c.Unproved() {
		r.legacy++
	}
	r.runtimes[c.Runtime()], r.byID[c.ID] = c, c
	delete(r.missing, c.Runtime())
	return old, true
}

// leave undoes enter; false: c is not there. If the state has nothing of its runtime (known is false), nothing is remembered.
func (r *Roster) leave(c *Client, known bool, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[c.ID] != c {
		return false
	}
	delete(r.byID, c.ID)
	if c.Unproved() {
		r.legacy--
	}
	if r.runtimes[c.Runtime()] == c {
		delete(r.runtimes, c.Runtime())
		if known {
			r.missing[c.Runtime()] = now
		}
	}
	return true
}

// Of is the newest connection of a runtime at this node, or nil.
func (r *Roster) Of(runtime message.URL) *Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runtimes[runtime]
}

// Connected tells whether a runtime has a connection at this node.
func (r *Roster) Connected(runtime message.URL) bool { return r.Of(runtime) != nil }

// Len is how many runtimes are connected.
func (r *Roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.runtimes)
}

// Kept is how many entries the roster has: for connections, for their runtimes, and for missing runtimes.
func (r *Roster) Kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID) + len(r.runtimes) + len(r.missing)
}

// numbered is the attached connection with the number, or nil.
func (r *Roster) numbered(id uint64) *Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// FullOfUnproved tells whether all places for the reference's dialects are taken.
func (r *Roster) FullOfUnproved() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.legacy >= r.unproved
}

// Gone tells whether a runtime has had no connection for the grace period. The time starts when this is first asked.
func (r *Roster) Gone(runtime message.URL, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runtimes[runtime] != nil {
		return false
	}
	since, ok := r.missing[runtime]
	if !ok {
		r.missing[runtime] = now
		return false
	}
	return now.Sub(since) > r.grace
}

// Forget drops what is remembered of runtimes that have been missing for long.
func (r *Roster) Forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for runtime, since := range r.missing {
		if now.Sub(since) > r.grace+time.Hour {
			delete(r.missing, runtime)
		}
	}
}
