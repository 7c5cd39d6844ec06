package session

import (
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// toldPause is between two events for the same refusal.
const toldPause = 30 * time.Second

// maxUntrusted is how many runtimes that were refused are remembered, so that each refusal is told once in a while.
const maxUntrusted = 1024

// refusals are which runtimes were refused last, and when that was told. The zero value works.
type refusals struct {
	mu   sync.Mutex
	told map[message.URL]time.Duration // maxUntrusted, see makeRoom
}

// due tells whether something may be told of a runtime: nothing was just before.
func (r *refusals) due(remote message.URL, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.told[remote]
	if known && now < last+toldPause || !known && len(r.told) >= maxUntrusted && !r.makeRoom(now) {
		return false
	}
	if r.told == nil {
		r.told = make(map[message.URL]time.Duration)
	}
	r.told[remote] = now
	return true
}

// makeRoom forgets the refusals that may be told again.
func (r *refusals) makeRoom(now time.Duration) bool {
	for remote, last := range r.told {
		if now >= last+toldPause {
			delete(r.told, remote)
		}
	}
	return len(r.told) < maxUntrusted
}
