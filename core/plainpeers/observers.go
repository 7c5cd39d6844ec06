package plainpeers

import (
	"sync"

	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/sdk/message"
)

// Observers is the MessageBus as the sync manager sees it. Remote runtimes without sessions have subscribed to an
// object's changes at the object's Message Node, which gives each its copy: however many of them observe, a change goes
// there once.
type Observers struct {
	syncmanager.Bus

	mu   sync.Mutex
	away map[message.URL]*shared // by address; at most the objects of the sync manager
}

// shared is the one subscription for all runtimes without sessions.
type shared struct {
	users int
	stop  func()
}

// NewObservers makes Observers without subscriptions.
func NewObservers(b syncmanager.Bus) *Observers {
	return &Observers{Bus: b, away: map[message.URL]*shared{}}
}

// Forward sends every message for the address at also to the runtime remote; see [syncmanager.Bus].
func (o *Observers) Forward(at, remote message.URL) (stop func()) {
	if !Sessionless(remote) {
		return o.Bus.Forward(at, remote)
	}
	at = at.Canonical()
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.away[at]
	if s == nil {
		s = &shared{stop: o.Bus.Forward(at, remote)}
		o.away[at] = s
	}
	s.users++
	return sync.OnceFunc(func() { o.leave(at, s) })
}

func (o *Observers) leave(at message.URL, s *shared) {
	o.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		delete(o.away, at)
	}
	o.mu.Unlock()
	if last {
		s.stop()
	}
}
