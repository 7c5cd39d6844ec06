package session

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// maxUntrusted is how many runtimes that were refused are remembered, so that each refusal is told once in a while.
const maxUntrusted = 1024

// refused tells that a runtime that is not trusted has sent something.
func (s *Sessions) refused(remote message.URL, why error) {
	now := s.now()
	s.untrustedMu.Lock()
	last, known := s.untrusted[remote]
	quiet := known && now < last+toldPause || !known && len(s.untrusted) >= maxUntrusted && !s.makeRoom(now)
	if !quiet {
		s.untrusted[remote] = now
	}
	s.untrustedMu.Unlock()
	if !quiet {
		s.o.Events(Event{Kind: Untrusted, Remote: remote, Why: why.Error()})
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
