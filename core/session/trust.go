package session

import (
	"fmt"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

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
	if s.refusals.due(e.Remote, s.now()) {
		s.o.Events(e)
	}
}
