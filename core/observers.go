package core

import (
	"sync"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// observers is the MessageBus as the sync manager sees it. Remote runtimes without sessions have subscribed to an
// object's changes at the object's Message Node, which gives each its copy: however many of them observe, a change goes
// there once.
type observers struct {
	*bus.MessageBus

	mu   sync.Mutex
	away map[message.URL]*shared // by address; at most the objects of the sync manager
}

// shared is the one subscription that stands for all runtimes without sessions.
type shared struct {
	users int
	stop  func()
}

// Forward has every message for the address at also sent to the runtime remote; see bus.MessageBus.
func (o *observers) Forward(at, remote message.URL) (stop func()) {
	if !sessionless(remote) {
		return o.MessageBus.Forward(at, remote)
	}
	at = at.Canonical()
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.away[at]
	if s == nil {
		s = &shared{stop: o.MessageBus.Forward(at, remote)}
		if o.away == nil {
			o.away = map[message.URL]*shared{}
		}
		o.away[at] = s
	}
	s.users++
	return sync.OnceFunc(func() { o.leave(at, s) })
}

func (o *observers) leave(at message.URL, s *shared) {
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
