package session

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Came is the path by which the last frame of a remote runtime came that has proven who it is; false where there is no
// such runtime.
func (s *Sessions) Came(remote message.URL) (Path, bool) {
	s.mu.RLock()
	one := s.byURL[remote.Canonical()]
	s.mu.RUnlock()
	if one == nil {
		return Path{}, false
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.paths.LastIn(), one.pair.Peer() != 0 && !one.paths.LastIn().IsZero()
}

// Uses tells whether any session has something to send over the stub, or has heard of its runtime over it within a time.
func (s *Sessions) Uses(stub message.URL, within time.Duration) bool {
	for _, one := range s.existing() {
		one.mu.Lock()
		sends := one.paths.Used().Stub == stub
		used := sends && !one.send.Empty() ||
			(sends || one.paths.LastIn().Stub == stub) && one.tell.HeardAt() != 0 && s.now()-one.tell.HeardAt() < within
		one.mu.Unlock()
		if used {
			return true
		}
	}
	return false
}
