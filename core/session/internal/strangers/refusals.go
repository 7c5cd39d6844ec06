package strangers

import (
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	toldPause  = 30 * time.Second // between two events about the same runtime
	maxRefused = 1024             // runtimes that are remembered, so that each is told of once in a while
)

// Refusals are which runtimes were refused last, and when that was told. The zero value works; it is safe for use by many
// goroutines.
type Refusals struct {
	mu   sync.Mutex
	told map[message.URL]time.Duration // maxRefused, see makeRoom
}

// Due tells whether something may be told of a runtime: nothing was just before.
func (r *Refusals) Due(remote message.URL, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.told[remote]
	if known && now < last+toldPause || !known && len(r.told) >= maxRefused && !r.makeRoom(now) {
		return false
	}
	if r.told == nil {
		r.told = make(map[message.URL]time.Duration)
	}
	r.told[remote] = now
	return true
}

// makeRoom forgets the refusals that may be told again.
func (r *Refusals) makeRoom(now time.Duration) bool {
	for remote, last := range r.told {
		if now >= last+toldPause {
			delete(r.told, remote)
		}
	}
	return len(r.told) < maxRefused
}

// maxVersion is the highest first byte of a frame that is taken for a version of this protocol.
const maxVersion = 32

// OtherVersion says what to do about a frame of another version: whoever speaks the lower one has to be upgraded. It is false
// where the byte is no version.
func OtherVersion(remote message.URL, theirs byte) (why string, ok bool) {
	upgrade := "upgrade this runtime"
	switch {
	case theirs == 0 || theirs > maxVersion || theirs == wire.Version:
		return "", false
	case theirs < wire.Version:
		upgrade = "upgrade " + string(remote)
	}
	return fmt.Sprintf("it speaks version %d of the session protocol, this runtime version %d: no message is exchanged; %s", theirs, wire.Version, upgrade), true
}
