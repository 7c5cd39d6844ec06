package bus

import (
	"context"
	"slices"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// Forward sends every message for the address at also to the runtime remote, which has subscribed to it. Each remote runtime
// has an inbox of its own. One that takes nothing holds up publishers for a moment only, and misses messages; afterwards it
// gets the last one.
func (b *MessageBus) Forward(at, remote message.URL) (stop func()) {
	at, remote = at.Canonical(), remote.Canonical()
	f := &forward{remote: remote, box: "forward:" + at + ">" + remote, space: make(chan struct{}, 1)}
	f.stop = b.listeners.Listen(f.box, func(ctx context.Context, m message.Message) {
		_ = b.leave(ctx, Route{Remote: remote, Why: "subscribed"}, m, minibus.Receipt{}) // its context ends with the bus
		f.left(b.listeners, &m)
	})
	b.trace.Emit(trace.Event{Kind: trace.Listener, To: at, Via: remote})
	b.mu.Lock()
	b.forwards[at] = append(slices.Clip(b.forwards[at]), f)
	if !at.ForSubscribers() {
		b.others.Add(1)
	}
	b.mu.Unlock()
	b.subscribed.Add(1)
	return func() {
		b.mu.Lock()
		rest := slices.DeleteFunc(slices.Clone(b.forwards[at]), func(other *forward) bool { return other == f })
		if len(rest) < len(b.forwards[at]) && !at.ForSubscribers() {
			b.others.Add(-1)
		}
		if len(rest) == 0 {
			delete(b.forwards, at)
		} else {
			b.forwards[at] = rest
		}
		b.mu.Unlock()
		f.stop()
	}
}

// subscribers are the remote runtimes to which messages for the address at are forwarded. This is asked for every message, so it takes no
// lock for an address that nobody subscribes to by its form.
func (b *MessageBus) subscribers(at message.URL) []*forward {
	at = at.Canonical()
	if b.others.Load() == 0 && !at.ForSubscribers() {
		return nil
	}
	b.mu.RLock()
	list := b.forwards[at]
	b.mu.RUnlock()
	return list
}

// Published waits until what was posted to the address at has left for the remote runtimes that subscribed to it, or ctx ends: what
// is said to them afterwards comes behind it.
func (b *MessageBus) Published(ctx context.Context, at message.URL) {
	for _, f := range b.subscribers(at) {
		select {
		case <-f.empty():
		case <-ctx.Done():
			return
		}
	}
}
