package session

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/protofly/protofly/core/session/internal/answers"
	"github.com/protofly/protofly/core/session/internal/memory"
	"github.com/protofly/protofly/core/session/internal/strangers"
	"github.com/protofly/protofly/sdk/message"
)

// shared is what all sessions of a runtime have together.
type shared struct {
	o     Options
	self  message.URL // o.Self in canonical form
	epoch time.Time
	seed  maphash.Seed    // of what remote runtimes are called in minibus.Receipt.Source
	life  context.Context // of all goroutines
	end   context.CancelFunc
	wg    sync.WaitGroup

	endMu   sync.RWMutex
	closing bool // no goroutine starts any more, but those of others that run

	memory    memory.Total
	large     large // the buffers of large frames
	strangers strangers.Strangers
	answers   *answers.Answers // to strangers, and by paths that are not in use
}

// now is the time since the sessions were made; it is never 0, which stands for "not set".
func (s *shared) now() time.Duration { return time.Since(s.epoch) + 1 }

// begin counts a goroutine that Close has to wait for. It is false where the runtime ends.
func (s *shared) begin() bool {
	s.endMu.RLock()
	defer s.endMu.RUnlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *shared) isClosing() bool {
	s.endMu.RLock()
	defer s.endMu.RUnlock()
	return s.closing
}
