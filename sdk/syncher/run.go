package syncher

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// New makes a syncher, which listens at its owner's address until Close.
func New(o Options) *Syncher {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Syncher{
		bus: o.Bus, owner: o.Owner, run: o.Runtime, sm: o.Runtime.Join("sm"), log: o.Log, ctx: ctx, cancel: cancel, onInvite: o.Invited,
		reporters: make(map[message.URL]*Reporter), observers: make(map[message.URL]*Observer),
		leaving: make(map[message.URL]chan struct{}),
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if b, ok := s.bus.(takingBus); ok {
		s.unhear = b.ListenTaking(s.owner, s.take)
	} else {
		s.unhear = s.bus.Listen(s.owner, func(ctx context.Context, m message.Message) { s.receive(ctx, m) })
	}
	return s
}

// takingBus is a bus on which a listener can say whether it has taken a message.
type takingBus interface {
	ListenTaking(at message.URL, h minibus.TakingHandler) (stop func())
}

// take is receive. The component's own business is not taken here: else its sender would be told that it is delivered before the component
// has it, or although it never has it.
func (s *Syncher) take(ctx context.Context, m message.Message, r minibus.Receipt) {
	if s.receive(ctx, m) {
		r.Taken()
	} else {
		r.Passed(m)
	}
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

// receive takes a message to the owner's address. It is false for what is no message of data objects.
func (s *Syncher) receive(ctx context.Context, m message.Message) (ours bool) {
	fromManager := m.From.Canonical() == s.sm.Canonical()
	switch {
	case m.Type == message.Create && isSubscription(m.From):
		s.invited(m)
	case m.Type == message.Forward && fromManager:
		s.forwarded(ctx, m)
	case m.Type == message.Update && fromManager:
		s.updated(m)
	case m.Type == message.Delete && fromManager:
		s.deleted(m)
	default:
		return false
	}
	return true
}
