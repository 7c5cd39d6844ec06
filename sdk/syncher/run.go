package syncher

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// New makes a syncher, which listens at its owner's address until Close.
func New(o Options) *Syncher {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Syncher{
		bus: o.Bus, owner: o.Owner, run: o.Runtime, sm: o.Runtime.Join("sm"), log: o.Log, ctx: ctx, cancel: cancel, onInvite: o.Invited,
		reporters: make(map[message.URL]*Reporter), observers: make(map[message.URL]*Observer),
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	s.unhear = s.bus.Listen(s.owner, s.receive)
	return s
}

// Close ends the syncher's goroutines and waits for them; every [Observer.Next] returns io.EOF. It sends nothing: the
// runtime notices that the component has gone, and removes what it reported. It must not be called from a handler of
// [Syncher.OnInvite].
func (s *Syncher) Close() {
	s.mu.Lock()
	s.closed = true
	observers := s.observers
	s.observers = make(map[message.URL]*Observer)
	s.mu.Unlock()
	s.cancel()
	s.unhear()
	for _, o := range observers {
		o.end()
	}
	s.tasks.Wait()
}

// receive takes a message to the owner's address.
func (s *Syncher) receive(ctx context.Context, m message.Message) {
	fromManager := m.From.Canonical() == s.sm.Canonical()
	switch {
	case m.Type == message.Create && isSubscription(m.From):
		s.invited(m)
	case m.Type == message.Forward && fromManager:
		s.authorise(ctx, m)
	case m.Type == message.Update && fromManager:
		s.updated(m)
	case m.Type == message.Delete && fromManager:
		s.deleted(m)
	}
}
