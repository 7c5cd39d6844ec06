package registry

import (
	"context"
	"time"

	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/sdk/message"
)

// publishTimeout is how long an update may wait for its followers. One that is lost leaves a gap, which heals.
const publishTimeout = 10 * time.Second

// follower takes a subscription of a remote runtime to this one's /registry/changes, or its end. It runs in the loop.
func (r *Registry) follower(remote message.URL, m *message.Message) {
	if m.Type == message.Unsubscribe {
		if r.publisher.Unsubscribe(remote, m) {
			r.endForward(remote)
		}
		return
	}
	rt, ok := r.directory.Runtime(remote)
	connected := ok && (connections.Pending(rt.Way().State) || rt.Way().State == message.Live)
	if !r.publisher.Admit(time.Now(), remote, m, connected) {
		return
	}
	if r.forwards[remote] == nil { // before the list, which updates may continue
		r.forwards[remote] = r.call.Forward(r.changes, remote)
	}
	r.publisher.Answer(m)
}

// endFollower drops a follower with its connection, unless there is another live one: what is published would wait for a runtime
// that may have gone. When there is a connection again it subscribes again. It runs in the loop.
func (r *Registry) endFollower(remote message.URL) {
	if rt, ok := r.directory.Runtime(remote); (!ok || !rt.Way().Live()) && r.publisher.Drop(remote) {
		r.endForward(remote)
	}
}

// endForward runs in the loop.
func (r *Registry) endForward(remote message.URL) {
	if stop := r.forwards[remote]; stop != nil {
		delete(r.forwards, remote)
		r.loop.Go(func(context.Context) { stop() })
	}
}

// publish posts what the publisher says, in order.
func (r *Registry) publish(ctx context.Context) {
	for {
		select {
		case <-r.outbox.Wake():
		case <-ctx.Done():
			return
		}
		for m, update, ok := r.outbox.Take(); ok; m, update, ok = r.outbox.Take() {
			if !update { // what an update says that overtakes it waits at the follower for it
				r.call.Reply(m)
				continue
			}
			bounded, cancel := context.WithTimeout(ctx, publishTimeout)
			r.call.post(bounded, m)
			cancel()
		}
	}
}

// SetChanges switches /registry/changes on or off while the Registry runs. Off: followers get no more updates and new
// ones are refused; this runtime unsubscribes from the others.
func (r *Registry) SetChanges(ctx context.Context, on bool) error {
	return r.ask(ctx, func() {
		for _, remote := range r.publisher.Switch(on) {
			r.endForward(remote)
		}
		r.setFollowing(on)
	})
}
