package session

import (
	"fmt"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// toldPause is between two events for the same refusal.
const toldPause = 30 * time.Second

// maxUntrusted is how many runtimes that were refused are remembered, so that each refusal is told once in a while.
const maxUntrusted = 1024

// refused tells that a runtime that is not trusted has sent something.
func (s *Sessions) refused(remote message.URL, why error) {
	s.onceInAWhile(Event{Kind: Untrusted, Remote: remote, Why: why.Error()})
}

// maxVersion is the highest first byte of a frame that is taken for a version of this protocol.
const maxVersion = 32

// foreign tells that a frame has another version: whoever speaks the lower one has to be upgraded.
func (s *Sessions) foreign(remote message.URL, path Path, theirs byte) {
	var upgrade string
	switch {
	case theirs == 0 || theirs > maxVersion || s.o.Trust(remote) != nil:
		return // noise, or none of our business
	case theirs < wire.Version:
		upgrade = "upgrade " + string(remote)
	default:
		upgrade = "upgrade this runtime"
	}
	s.onceInAWhile(Event{Kind: Version, Remote: remote, Path: path,
		Why: fmt.Sprintf("it speaks version %d of the session protocol, this runtime version %d: no message is exchanged; %s", theirs, wire.Version, upgrade)})
}

// onceInAWhile tells e unless something was told of that runtime just before.
func (s *Sessions) onceInAWhile(e Event) {
	remote := e.Remote
	now := s.now()
	s.untrustedMu.Lock()
	last, known := s.untrusted[remote]
	quiet := known && now < last+toldPause || !known && len(s.untrusted) >= maxUntrusted && !s.makeRoom(now)
	if !quiet {
		s.untrusted[remote] = now
	}
	s.untrustedMu.Unlock()
	if !quiet {
		s.o.Events(e)
	}
}

// makeRoom forgets the refusals that may be told again. untrustedMu is held.
func (s *Sessions) makeRoom(now time.Duration) bool {
	for remote, last := range s.untrusted {
		if now >= last+toldPause {
			delete(s.untrusted, remote)
		}
	}
	return len(s.untrusted) < maxUntrusted
}
